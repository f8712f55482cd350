"""Paths that the figure layer reads and writes."""

from pathlib import Path

from experiments.paths import BUILD, ROOT

REFERENCE = Path(__file__).parents[1] / "reference"
FIGURES = BUILD / "figures"
RUNS = ROOT / "runs"  # where a cluster's runs of the paper's rows are looked for
REPORT = BUILD / "report.html"
