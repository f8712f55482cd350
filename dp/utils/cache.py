"""Keep files that can be fetched or made again."""

import os
from pathlib import Path

from dp.utils.errors import UserError


def cache_home() -> Path:
    """Return the user's folder for what may be kept: $XDG_CACHE_HOME, else ~/.cache, and deliberate-practice in it.

    Raises:
        UserError: neither is known, as for a user without a home.
    """
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise UserError("HOME: not set, and this user has no home; set HOME or XDG_CACHE_HOME to a folder") from None
    return home / "deliberate-practice"
