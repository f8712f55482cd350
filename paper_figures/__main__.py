"""Draw every figure and table from the result files and write the report.

python -m paper_figures                       # build/figures/* and build/report.html
python -m paper_figures --theory              # the theory's figures, no report
"""

import tyro
from tqdm import tqdm

from dp.errors import run_command
from paper_figures import (
    figure2,
    figure3,
    figure4,
    figure5c,
    figure7,
    live,
    report,
    table4,
    theory_adaptive,
    theory_covariance,
    theory_errata,
    theory_exponent,
    theory_phase,
)
from paper_figures.exhibit import save
from paper_figures.paths import FIGURES, REPORT

THEORY = (
    figure3,
    figure5c,
    figure7,
    theory_errata,
    theory_covariance,
    theory_adaptive,
    theory_phase,
    theory_exponent,
)
EXHIBITS = {module.__name__.split(".")[-1]: module for module in (live, figure2, figure4, table4, *THEORY)}


def main(profile: str = "cpu", theory: bool = False) -> None:
    """Draw the exhibits of a profile.

    Args:
        profile: cpu or smoke; whose results to read.
        theory: the theory's figures only, and no report.
    """
    modules = THEORY if theory else EXHIBITS.values()
    exhibits = [module.make(profile) for module in tqdm(modules, "drawing", leave=False)]
    for exhibit in exhibits:
        save(exhibit, FIGURES)
    print(f"{len(exhibits)} figures and tables in {FIGURES}")
    if not theory:
        report.write(REPORT, profile, exhibits, FIGURES)
        print(f"report: {REPORT}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
