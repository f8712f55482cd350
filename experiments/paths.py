"""Where the repository is, and where it builds what it makes."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
