"""Draw every figure and table from the result files and write the report.

python -m paper_figures                       # build/figures/* and build/report.html
python -m paper_figures --runs FOLDER         # with what a cluster's runs of the paper's rows have reached
python -m paper_figures --theory              # the theory's figures, no report
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import tyro
from tqdm import tqdm

from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from experiments.profiles import profile as named
from paper_figures.cluster import grid as cluster_grid
from paper_figures.cluster import pictures as cluster_pictures
from paper_figures.cluster import published_rows as paper_scale
from paper_figures.cluster import runs as cluster_runs
from paper_figures.drawing.exhibit import FILES, Exhibit, Missing, make_all, save
from paper_figures.drawing.paths import FIGURES, REPORT, RUNS
from paper_figures.exhibits import (
    diversity_gain,
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
    filtering,
    learners,
    length,
    live,
    objectives,
    off_manifold,
    second_set,
    signals,
    static_settings,
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
    theory_practice,
    transfer,
    tuning,
    validation_size,
)
from paper_figures.report import page as report
from paper_figures.report.readme import update as update_readme

THEORY = (
    figure3, figure5c, figure7, theory_errata, theory_covariance, theory_adaptive, theory_phase, theory_exponent,
)  # fmt: skip
PARTS = {  # heading -> exhibits, in order of appearance
    "Measured on real images": (
        figure1, figure2, figure4, figure5, figure6_left, figure6_right, figure8, figure9, figure10, figure11, figure13,
        table1, table2, table3, table4, table5, tuning,
    ),
    "Open questions": (
        validation_size, signals, diversity_gain, off_manifold, filtering, objectives, learners, transfer, second_set,
        length, static_settings, theory_practice,
    ),
    "Theory": THEORY,
    "On this machine": (live,),
}  # fmt: skip
EXHIBITS = {module.__name__.split(".")[-1]: module for part in PARTS.values() for module in part}


def main(profile: str = "cpu", runs: Path | None = None, theory: bool = False, readme: bool = False) -> None:
    """Draw the exhibits of a profile.

    Args:
        profile: cpu or smoke; whose results to read.
        runs: a folder of runs of the paper's rows (`dp run --row`), shown beside the published numbers; by default
            runs/ in the repository, if there is anything finished in it.
        theory: the theory's figures only, and no report.
        readme: put the results table and the picture of the cpu profile into the README too.
    """
    named(profile)  # or UserError
    if readme and (profile != "cpu" or theory):
        raise UserError("readme: it shows the cpu profile's results; leave --profile and --theory out")
    measured = cluster_runs.read(runs) if runs is not None else _in_repository()
    parts = {"Theory": THEORY} if theory else PARTS
    with tqdm(total=sum(map(len, parts.values())), desc="drawing", leave=False) as bar:
        found = {heading: make_all(_counted(modules, bar), profile) for heading, modules in parts.items()}
    if measured is not None:
        print("".join(f"not shown: {each}\n" for each in measured.left_out), end="", file=sys.stderr)
        found = {heading: [paper_scale.beside(each, measured) for each in part] for heading, part in found.items()}
        drawn = [each for module in (cluster_pictures, cluster_grid) if (each := module.make(measured))]
        found |= {"Measured at the paper's scale": [paper_scale.make(measured), *drawn]}
    found = {
        heading: [save(each, FIGURES) if isinstance(each, Exhibit) else each for each in part]
        for heading, part in found.items()
    }
    every = [each for part in found.values() for each in part]
    for each in every:
        if isinstance(each, Missing):
            for suffix in FILES:  # of another profile, or of results that are there no longer
                (FIGURES / f"{each.name}.{suffix}").unlink(missing_ok=True)
            print(f"{each.name}: not made yet: {each.why}", file=sys.stderr)
    print(f"{sum(isinstance(each, Exhibit) for each in every)} figures and tables in {FIGURES}")
    if not theory:
        report.write(REPORT, profile, found, FIGURES)
        print(f"report: {REPORT}")
    if readme:
        update_readme(FIGURES)


def _in_repository() -> cluster_runs.Runs | None:
    """The finished runs of the paper's rows in runs/; it may also hold runs of other kinds alone."""
    if not any(RUNS.glob("*/result.json")):
        return None
    try:
        return cluster_runs.read(RUNS)
    except UserError as error:
        print(f"not shown: {error}", file=sys.stderr)
        return None


def _counted(modules: Iterable[ModuleType], bar: tqdm) -> Iterator[ModuleType]:
    for module in modules:
        yield module
        bar.update()


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main))
