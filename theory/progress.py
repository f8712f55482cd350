"""A progress bar on stderr with the time left, silent when stderr is not a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], label: str) -> Iterator[T]:
    """Yield ``items`` (which must have a length), drawing a bar labelled ``label``."""
    total = len(items) if isinstance(items, Sized) else 0
    start = time.monotonic()
    for done, item in enumerate(items):
        if sys.stderr.isatty() and done:
            left = (time.monotonic() - start) / done * (total - done)
            bar = ("#" * (24 * done // max(total, 1))).ljust(24, ".")
            sys.stderr.write(f"\r{label} {bar} {done}/{total}, {left:.0f} s left \x1b[K")
            sys.stderr.flush()
        yield item
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
