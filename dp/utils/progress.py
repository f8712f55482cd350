"""Bars of what takes longer than a moment, in a terminal or below a notebook's cell."""

import os
import sys
import warnings
from weakref import WeakSet

from dp.utils.distributed import rank

with warnings.catch_warnings():  # a notebook without widgets shows bars in text
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm

MOMENT = 2.0  # seconds

_bars: WeakSet[tqdm] = WeakSet()


def in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def bar_of(what: str, total: int, unit: str, initial: int = 0) -> tqdm:
    """Return a bar that appears after a moment, and goes when it is closed.

    It stays away where nobody looks (no terminal, another process than the first, TQDM_DISABLE), and within another bar
    of the same: images that are made portion by portion have one bar, not one per portion.

    Args:
        what: is counted, such as "images".
        total: how many.
        unit: behind the numbers.
        initial: how many are done already; they do not count as fast.
    """
    nobody = not (in_notebook() or sys.stderr.isatty()) or rank() > 0 or bool(os.environ.get("TQDM_DISABLE"))
    within = any(each.desc == what and not each.disable for each in list(_bars))
    bar = tqdm(
        desc=what, total=total, unit=f" {unit}", initial=initial, leave=False, delay=MOMENT, disable=nobody or within
    )
    if not bar.disable:
        _bars.add(bar)
    return bar
