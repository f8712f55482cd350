"""Commands that write a folder, on a disk that gets full: one line each, nothing lost, the same bytes with more room.

Command   python benchmarks/disks.py --limits 2              (of each command; some names: those alone)
Time      about 5 minutes for 2 on one core
Expected  "the same" in every row
Needs     Linux and the right to mount a file system (root, as in a container)

Each folder is a small file system in memory. Half of the limits are on its bytes, half on how many files and folders
it may hold, both drawn between what is there before the command and what the command would write. The command has to
end with exit code 2 and one line that names a file and the remedy; what was there before has to be as it was. Then
there is room, and the same command has to end with the files of one that never met a full disk.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)

# ruff: noqa: E402 (the path comes first)
from benchmarks.kills import COMMANDS, CONTEXT, Hammer, content, differing, made_small
from dp.utils.command_line import run_command

PAGE = os.sysconf("SC_PAGE_SIZE")  # what a file system in memory counts in
ROOM = ("size=256m", "nr_inodes=100000")


def execute(name: str, work: Path, said: Path) -> None:
    """Run a command in this process as the shell does; what it says on standard error goes into a file."""
    made_small()
    with open(said, "w") as file, open(os.devnull, "w") as nothing:
        os.dup2(file.fileno(), 2)
        os.dup2(nothing.fileno(), 1)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        run_command(lambda: COMMANDS[name](work))  # type: ignore[arg-type,return-value]


def ended(name: str, work: Path, said: Path) -> tuple[int | None, str]:
    """Run a command in a process of its own; return its exit code and the last line it said."""
    process = CONTEXT.Process(target=execute, args=(name, work, said))
    process.start()
    process.join()
    lines = said.read_text().strip().splitlines()
    return process.exitcode, lines[-1] if lines else ""


def mounted(place: Path, *options: str) -> None:
    """Mount a file system in memory, or give one that is mounted other limits.

    Raises:
        CalledProcessError: this user may not.
    """
    again = ["remount"] if place.is_mount() else []
    words = ["mount", "-t", "tmpfs", "-o", ",".join([*again, *options]), "tmpfs", str(place)]
    subprocess.run(words, check=True)


def needs(folder: Path) -> tuple[int, int]:
    """Return the bytes and the number of files and folders that a file system in memory needs for a folder."""
    paths = [folder, *folder.rglob("*")]
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in paths if path.is_file()), len(paths) + 1


class Disk:
    """A folder that commands work in, whose file system can be made small."""

    def __init__(self, folder: Path):
        """Make what the commands need, see `benchmarks.kills`."""
        self.hammer = Hammer(folder)
        self.said = folder / "said"

    def filled(self, name: str, expected: dict[str, object], limits: tuple[str, str]) -> tuple[str, str]:
        """Run a command with little room, then with more.

        Returns:
            What was wrong, "" if nothing; and the line that it ended with ("" if the room was enough).
        """
        work, given = self.hammer.work, self.hammer.given
        shutil.rmtree(work)
        work.mkdir()
        mounted(work, *ROOM)
        try:
            shutil.copytree(given, work, dirs_exist_ok=True)
            before = content(work)
            mounted(work, *limits)
            code, line = ended(name, work, self.said)
            if code not in (0, 2) or (code == 2 and (not line.startswith("error: ") or "Traceback" in line)):
                return f"exit code {code}: {self.said.read_text()[-500:]}", line
            now = content(work)
            harmed = [each for each in before if now.get(each) != before[each] and before[each] != expected[each]]
            if harmed:
                return f"harmed: {harmed}", line
            mounted(work, *ROOM)
            if ended(name, work, self.said)[0]:
                return f"with room again: {self.said.read_text()[-500:]}", line
            different = differing(content(work), expected)
            return f"different: {different}" if different else "", line if code else ""
        finally:
            subprocess.run(["umount", str(work)], check=True)

    def limits(self, name: str, rng: random.Random, files: bool) -> tuple[str, str]:
        """Draw a limit between what is there before a command and what `undisturbed` has left there."""
        before, after = needs(self.hammer.given), needs(self.hammer.work)
        if files:
            return ROOM[0], f"nr_inodes={rng.randint(before[1], max(before[1], after[1] - 1))}"
        return f"size={rng.randrange(before[0], max(after[0], before[0] + PAGE), PAGE)}", ROOM[1]


def main() -> None:
    """Fill the disk under the commands and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = f"commands, by default all of {', '.join(COMMANDS)}"
    parser.add_argument("names", nargs="*", metavar="name", choices=[*COMMANDS, []], help=known)
    parser.add_argument("--limits", type=int, default=2, help="limits that are met, of each command")
    parser.add_argument("--seed", type=int, default=0, help="other limits")
    options = parser.parse_args()
    rng, failed = random.Random(options.seed), False
    with tempfile.TemporaryDirectory() as folder:
        disk = Disk(Path(folder).resolve())
        for name in options.names or COMMANDS:
            expected, _, _ = disk.hammer.undisturbed(name)
            drawn = [disk.limits(name, rng, bool(i % 2)) for i in range(5 * options.limits)]
            met, wrongs = 0, 0
            for limits in drawn:
                wrong, line = disk.filled(name, expected, limits)
                met += bool(line)
                wrongs += bool(wrong)
                if wrong or line:
                    print(f"{name}, {', '.join(each for each in limits if each not in ROOM)}: {line}", flush=True)
                if wrong:
                    print(f"    WRONG: {wrong}", flush=True)
                if met == options.limits:
                    break
            print(f"{name:16} {met:3} full disks: {'WRONG' if wrongs else 'the same'}", flush=True)
            failed |= wrongs > 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
