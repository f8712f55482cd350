"""Arguments of the benchmarks' command lines, told to be wrong before minutes are spent."""

import argparse
from pathlib import Path


def picture(text: str) -> Path:
    """Return where a picture may be written; a type for argparse.

    Raises:
        ArgumentTypeError: there is no such folder, or the ending is not of a picture.
    """
    path = Path(text)
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a name that ends in .png, .pdf or .svg")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent}: no such folder; make it first")
    return path
