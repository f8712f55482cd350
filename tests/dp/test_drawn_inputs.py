"""Bad inputs drawn at random over all commands, files and public functions: one line each, or no harm.

Many more: benchmarks/bad_inputs.py, whose last long run stands in docs/reliability.md.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bad_inputs import KINDS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_few_inputs_of_each_kind():
    """Draw them in a process of its own, which forks for each: threads of this one would not come along."""
    command = [sys.executable, str(ROOT / "benchmarks" / "bad_inputs.py"), "--each", "4", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines()[2:] if line.startswith("|")]
    assert done.returncode == 0 and [row[0].strip() for row in rows] == list(KINDS), done.stdout + done.stderr
    assert all(int(row[1]) == 4 and int(row[4]) == 0 for row in rows), json.dumps(rows)
