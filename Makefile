# Deliberate Practice. `make help` lists what there is to make.
PROFILE ?= cpu
RUNS ?=
PY := .venv/bin/python

.DEFAULT_GOAL := help
# What the paper's scale has rows of.
ROWS := table1 table2 table3 table4 table5 figure1 figure2 figure4 figure5 figure9
.PHONY: help figures reproduce check test test-oldest notebooks docs theory lint clean $(ROWS)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile
	@echo "  make table4 PROFILE=imagenet100   the commands of the paper's scale, with cost and published accuracy; starts nothing"
	@echo "                                    (tables 1 to 4, figures 2, 4, 5, 9; PROFILE=imagenet1k: tables 1, 5, figures 1, 4)"

figures: .venv/installed  ## every figure and table and build/report.html, from the recorded results (PROFILE=smoke computes small ones; RUNS=folder adds a cluster's)
	@if [ $(PROFILE) = smoke ]; then $(PY) -m experiments run --profile smoke; fi
	@$(PY) -m experiments live --profile $(PROFILE)
	@$(PY) -m paper_figures --profile $(PROFILE) $(if $(RUNS),--runs '$(RUNS)')

reproduce: .venv/installed  ## recompute every recorded result that is absent or stale, on all cores; stop and go on at will
	@$(PY) -m experiments run --profile $(PROFILE)
	@$(PY) -m experiments status --profile $(PROFILE)

ifneq ($(filter imagenet%,$(PROFILE)),)
$(ROWS): .venv/installed
	@$(PY) -m dp plan --profile $(PROFILE) $(patsubst figure%,--figure %,$(patsubst table%,--table %,$@)) --commands
else
$(ROWS):
	@echo "make figures draws $@ of the $(PROFILE) profile. The paper's scale: make $@ PROFILE=imagenet100, or imagenet1k"
endif

check: lint  ## before a commit: linter, formatter, types, and tests that are quick
	@$(PY) -m pytest -n auto -m "not slow" tests/theory tests/test_rooms.py tests/dp/test_front_door.py tests/dp/learner tests/dp/paper

test: .venv/installed  ## the test suite, on all cores
	@$(PY) -m pytest -n auto --dist loadfile --max-worker-restart 0

test-oldest:  ## the tests of dp and theory with the oldest versions of their libraries, in build/oldest
	@python3.11 -m venv build/oldest
	@build/oldest/bin/python -m pip install --disable-pip-version-check -q -c constraints-oldest.txt -e '.[plots,dp,test]'
	@build/oldest/bin/python -m pytest -n auto --dist loadfile --max-worker-restart 0 tests/dp tests/theory

docs: .venv/installed  ## a page for every public name of dp and theory, in build/docs
	@$(PY) -m pdoc -d google --math -o build/docs dp theory

notebooks: .venv/installed  ## execute the notebooks into build/notebooks
	@ls -S notebooks/*.ipynb | OMP_NUM_THREADS=1 TQDM_DISABLE=1 xargs -P 2 -n 1 $(PY) -m jupyter nbconvert --execute --to html --output-dir build/notebooks

theory: .venv/installed  ## the theory's figures alone, on one core
	@$(PY) -m experiments run theory --profile $(PROFILE)
	@$(PY) -m paper_figures --profile $(PROFILE) --theory

lint: .venv/installed  ## linter, formatter and type checker
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy

clean:  ## remove what was made (build/, .venv/); recorded results stay
	rm -rf build .venv *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

.venv/installed: pyproject.toml constraints.txt install.sh
	@sh install.sh
