"""The outcomes of a finished run."""

from pathlib import Path
from typing import Any

from dp.utils.files import read_record

REMEDY = "remove it, the same command makes it again from the run's last checkpoint"


def read_result(path: Path) -> dict[str, Any]:
    """Return what is in a run's result.json; one without a checksum, as older versions wrote, is read too.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is damaged, or was edited.
    """
    return read_record(path, REMEDY, unsigned=True)
