"""Draw every figure and table from the result files and write the report.

python -m paper_figures                       # build/figures/* and build/report.html
python -m paper_figures --runs FOLDER         # with what a cluster's runs of the paper's rows have reached
python -m paper_figures --theory              # the theory's figures, no report
"""

import sys
from pathlib import Path

import tyro
from tqdm import tqdm

from dp.errors import run_command
from paper_figures import (
    cluster_runs,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure5c,
    figure6_left,
    figure6_right,
    figure7,
    figure8,
    figure9,
    figure10,
    figure11,
    figure13,
    live,
    paper_scale,
    report,
    table1,
    table2,
    table3,
    table4,
    table5,
    theory_adaptive,
    theory_covariance,
    theory_errata,
    theory_exponent,
    theory_phase,
    tuning,
)
from paper_figures.exhibit import Exhibit, Missing, make_all, save
from paper_figures.paths import FIGURES, REPORT

OURS = (theory_errata, theory_covariance, theory_adaptive, theory_phase, theory_exponent)
THEORY = (figure3, figure5c, figure7, *OURS)
FIGURES_OF_PAPER = (
    figure1, figure2, figure3, figure4, figure5, figure5c, figure6_left, figure6_right, figure7, figure8, figure9,
    figure10, figure11, figure13,
)  # fmt: skip
TABLES = (table1, table2, table3, table4, table5, tuning)
EXHIBITS = {
    module.__name__.split(".")[-1]: module for module in (live, *FIGURES_OF_PAPER, *TABLES, *OURS)
}  # in order of appearance


def main(profile: str = "cpu", runs: Path | None = None, theory: bool = False) -> None:
    """Draw the exhibits of a profile.

    Args:
        profile: cpu or smoke; whose results to read.
        runs: a folder of runs of the paper's rows (`dp run --row`), shown beside the published numbers.
        theory: the theory's figures only, and no report.
    """
    measured = cluster_runs.read(runs) if runs is not None else None
    found = make_all(tqdm(THEORY if theory else EXHIBITS.values(), "drawing", leave=False), profile)
    if measured is not None:
        print("".join(f"not shown: {each}\n" for each in measured.left_out), end="", file=sys.stderr)
        found = [paper_scale.make(measured), *(paper_scale.beside(each, measured) for each in found)]
    made = [each for each in found if isinstance(each, Exhibit)]
    for exhibit in made:
        save(exhibit, FIGURES)
    for each in found:
        if isinstance(each, Missing):
            print(f"{each.name}: not made yet: {each.why}", file=sys.stderr)
    print(f"{len(made)} figures and tables in {FIGURES}")
    if not theory:
        report.write(REPORT, profile, found, FIGURES)
        print(f"report: {REPORT}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
