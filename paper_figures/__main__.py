"""Draw every figure and table from the result files and write the report.

python -m paper_figures                       # build/figures/* and build/report.html
python -m paper_figures --only figure3        # one exhibit, no report
"""

import tyro

from dp.errors import UserError, run_command
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


def main(profile: str = "cpu", only: str | None = None) -> None:
    """Draw the exhibits of a profile.

    Args:
        profile: cpu or smoke; whose results to read.
        only: one exhibit's name; all, and the report, if not given.
    """
    if only is not None and only not in EXHIBITS:
        raise UserError(f'only: got "{only}", expected one of {", ".join(EXHIBITS)}')
    exhibits = [EXHIBITS[name].make(profile) for name in ([only] if only else EXHIBITS)]
    for exhibit in exhibits:
        save(exhibit, FIGURES)
    if only:
        print(f"{FIGURES / only}: .pdf, .png, .csv")
        return
    report.write(REPORT, profile, exhibits, FIGURES)
    print(f"{len(exhibits)} figures and tables in {FIGURES}\nreport: {REPORT}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
