#!/bin/sh
# Makes .venv with everything pinned in constraints.txt. Called by make; does nothing twice.
# Set PYTHON to choose an interpreter.
fail() { echo "error: $*" >&2; exit 2; }

for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
found=$(${PYTHON:-python3} --version 2>/dev/null)
[ -n "$python" ] || fail "Python: found ${found:-no ${PYTHON:-python3}}, need 3.11 to 3.14; install one, or name one: make PYTHON=/path/to/python3.11 ..."

need=9000000 # KiB; PyTorch's CUDA libraries are most of it
free=$(df -Pk . | awk 'NR == 2 {print $4}')
have=$(du -sk .venv 2>/dev/null | cut -f 1)
[ $((free + ${have:-0})) -ge $need ] || fail "disk: $((free / 1000)) MB free here, need $((need / 1000)) MB for PyTorch and the rest; make room, or move the folder to a larger disk"

log=build/install.log
mkdir -p build
echo "installing into .venv (a few minutes the first time; log in $log)"
"$python" -m venv .venv >$log 2>&1 || fail "venv: could not make .venv (on Debian and Ubuntu: install python3-venv); see $log"
.venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[plots,dp,notebooks,dev]' >>$log 2>&1 ||
    fail "pip: could not install ($(grep -m 1 -i '^error' $log || tail -n 1 $log)); see $log, then run make again"
# So that notebooks, which run in their own folder, find experiments and paper_figures.
echo "$PWD" >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/repository.pth"
touch .venv/installed
