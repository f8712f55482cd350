"""Where the figure layer reads and writes."""

from pathlib import Path

from experiments.results import BUILD

REFERENCE = Path(__file__).parent / "reference"
FIGURES = BUILD / "figures"
REPORT = BUILD / "report.html"
