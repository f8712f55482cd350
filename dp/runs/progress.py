"""Show how far a run is and how long it will take: a bar, and a file that `dp watch` reads."""

import json
import time
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from dp.config import PracticeConfig
from dp.practice.state import State, iterations_done, last_measured
from dp.utils.files import atomic
from dp.utils.progress import bar_of

EVERY = 2.0  # seconds between two writings of the file
IMAGES = ("plain", "guided")  # they take different times


class Progress:
    """Show a run as it goes on; `RunFolder` tells it of every iteration and of every portion of images.

    The time left is that of the iterations and the images to come, each as fast as this process was so far: a run that
    goes on after a stop neither counts what was done before as fast, nor its own loading as slow. All additions are
    taken to come, though patience may ask for fewer.
    """

    def __init__(self, folder: Path, config: PracticeConfig):
        """Show nothing done yet.

        Args:
            folder: of the run; it must be there.
            config: of the run.
        """
        self.config = config
        self._file = folder / "progress.json"
        self._total = config.iterations * (1 + len(config.branch_sizes))
        self._bar = tqdm(
            total=self._total,
            desc="practising",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        )
        self._images: tqdm | None = None
        self._round: dict[str, int] | None = None  # of the images that are being made
        self._to_come = dict(zip(IMAGES, (config.n_initial, config.rounds * config.n_per_round), strict=True))
        self._seconds = dict.fromkeys(("iterations", *IMAGES), 0.0)
        self._done = dict.fromkeys(("iterations", *IMAGES), 0)
        self._last = time.monotonic()
        self._written = 0.0

    def goes_on(self, state: State) -> None:
        """Take note of where the run, or one of its branches, goes on."""
        self._to_come["plain"] = 0
        if state.branch is None:
            self._to_come["guided"] = (self.config.rounds - len(state.additions)) * self.config.n_per_round
        else:
            self._to_come["guided"] = 0
        before = iterations_done(self.config, state) - self._bar.n
        self._bar.initial += before
        self._bar.n += before
        self._bar.refresh()
        self._last = time.monotonic()

    def iteration(self, state: State) -> None:
        """Take note of an iteration, or of an addition that is done."""
        new = round(iterations_done(self.config, state) - self._bar.n)
        if new:
            self._count("iterations", new)
            self._bar.update(new)
        self._round = None
        said = last_measured(state)
        self._bar.set_postfix(images=len(state.pool), **said, left=self._in_words(), refresh=False)
        self._write(finished=self._bar.n == self._total)

    def images(self, round_: int, made: int, of: int) -> None:
        """Take note of how many of a round's images there are; first of those that were there before."""
        kind = IMAGES[round_ > 0]
        if self._images is None:
            self._images = bar_of("images", of, "images", made)
            self._round = {"round": round_, "made": made, "of": of}
            self._to_come[kind] -= made
            self._last = time.monotonic()
        elif self._round is not None:
            new = made - self._round["made"]
            self._count(kind, new)
            self._to_come[kind] -= new
            self._images.update(new)
            self._round["made"] = made
        self._bar.set_postfix(left=self._in_words(), refresh=False)
        if made == of:
            self._images.close()
            self._images = None
        self._write()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._images is not None:
            self._images.close()
        self._bar.close()

    def seconds_left(self) -> tuple[float, bool] | None:
        """Return the seconds left, and whether they are the least: a kind of work that is to come has not been timed.

        None: nothing has been timed yet.
        """
        to_come = {"iterations": self._total - round(self._bar.n), **self._to_come}
        timed = [kind for kind, count in to_come.items() if self._done[kind]]
        if not timed:
            return None
        seconds = sum(to_come[kind] * self._seconds[kind] / self._done[kind] for kind in timed)
        return max(0.0, seconds), any(to_come[kind] > 0 for kind in to_come.keys() - set(timed))

    def _count(self, kind: str, new: int) -> None:
        now = time.monotonic()
        self._seconds[kind] += now - self._last
        self._done[kind] += new
        self._last = now

    def _in_words(self) -> str:
        left = self.seconds_left()
        return "?" if left is None else ("over " if left[1] else "") + tqdm.format_interval(left[0])

    def _write(self, finished: bool = False) -> None:
        """Write the file, if it is time to; it is for eyes alone, and a run goes on without it."""
        if not finished and time.monotonic() - self._written < EVERY:
            return
        self._written, left = time.monotonic(), self.seconds_left()
        found: dict[str, Any] = {
            "iterations": self._bar.n,
            "of": self._total,
            "images": self._round,
            "images_per_second": {
                kind: self._done[kind] / self._seconds[kind] for kind in IMAGES if self._seconds[kind] > 0
            },
            "seconds_left": left and left[0],
            "at_least": bool(left and left[1]),
            "written": time.time(),
        }
        with atomic(self._file) as partial:
            partial.write_text(json.dumps(found) + "\n")
