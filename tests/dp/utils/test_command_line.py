"""What ends a command: a mistake, a reader that has gone, an environment that cannot be."""

import os
import subprocess
import sys

import pytest

from dp.utils.command_line import parsed
from dp.utils.distributed import processes_asked
from dp.utils.errors import UserError


def test_a_reader_that_has_gone_is_no_mistake():
    many = "from dp.utils.command_line import run_command\nrun_command(lambda: print('line\\n' * 100_000))"
    with subprocess.Popen([sys.executable, "-c", many], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stderr is not None
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b"" and writer.wait() == 141


@pytest.mark.parametrize("words", ["dp plan --json", "theory error --d 9 --n 30", "theory sweep --d 9 --n 30"])
def test_a_closed_output_is_no_mistake(words):
    ended = subprocess.run(["sh", "-c", f"exec {sys.executable} -m {words} >&-"], stderr=subprocess.PIPE, check=True)
    assert ended.stderr == b""


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "abc"}, 'WORLD_SIZE: got "abc", expected a number'),
        ({"WORLD_SIZE": "-2"}, 'WORLD_SIZE: got "-2", expected a number'),
        ({"WORLD_SIZE": "2"}, 'RANK: got "", expected a number'),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "9" * 99}, "MASTER_PORT: got"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_PORT": "2000"}, "MASTER_ADDR: not set, but WORLD_SIZE is 2"),
    ],
)
def test_an_environment_that_cannot_be_is_named(monkeypatch, variables, message):
    for name in ("WORLD_SIZE", "RANK", "MASTER_PORT", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    assert processes_asked() == 1
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        processes_asked()


def test_words_become_a_call():
    def add(first: int, second: int = 2) -> int:
        """Add two numbers."""
        return first + second

    assert parsed(add, "add", ["--first", "1"])() == 3
    for words, message in (([], "Missing from add: --first INT"), (["--first", "x"], "--first: invalid literal")):
        with pytest.raises(UserError, match=rf"^{message}.*; add --help lists the settings$") as error:
            parsed(add, "add", words)
        assert "\n" not in str(error.value)


def test_a_mistake_is_told_in_the_same_line_where_only_ascii_can_be_shown():
    words = [sys.executable, "-m", "dp", "completion", "fish"]
    told = [
        subprocess.run(words, env=os.environ | {"PYTHONIOENCODING": code}, capture_output=True, text=True).stderr
        for code in ("utf-8", "ascii")
    ]
    assert told[0] == told[1] and "fish" in told[0] and "---" not in told[0]
