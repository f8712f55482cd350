"""Paths of the repository and of what it builds."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
