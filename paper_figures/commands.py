"""The command `python -m paper_figures`."""

import sys
from pathlib import Path

import tyro
from tqdm import tqdm

from dp.utils.errors import UserError
from experiments.profiles import profile as named
from paper_figures.cluster import grid as cluster_grid
from paper_figures.cluster import pictures as cluster_pictures
from paper_figures.cluster import published_rows as paper_scale
from paper_figures.cluster import runs as cluster_runs
from paper_figures.drawing.exhibit import FILES, PARTS, THEORY, Exhibit, Missing, make_all, save
from paper_figures.drawing.paths import FIGURES, REPORT, RUNS
from paper_figures.exhibits import exhibits
from paper_figures.report import page as report
from paper_figures.report.readme import update as update_readme


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
    modules = [module for module in exhibits().values() if module.ENTRY.part == THEORY or not theory]
    every = make_all(tqdm(modules, desc="drawing", leave=False), profile)
    if measured is not None:
        print("".join(f"not shown: {each}\n" for each in measured.left_out), end="", file=sys.stderr)
        every = [paper_scale.beside(each, measured) for each in every]
        every += [each for module in (paper_scale, cluster_pictures, cluster_grid) if (each := module.make(measured))]
    every = [save(each, FIGURES) if isinstance(each, Exhibit) else each for each in every]
    for each in every:
        if isinstance(each, Missing):
            for suffix in FILES:  # of another profile, or of results that are there no longer
                (FIGURES / f"{each.name}.{suffix}").unlink(missing_ok=True)
            print(f"{each.name}: not made yet: {each.why}", file=sys.stderr)
    print(f"{sum(isinstance(each, Exhibit) for each in every)} figures and tables in {FIGURES}")
    if not theory:
        parts = {part: [each for each in every if each.entry.part == part] for part in PARTS}
        report.write(REPORT, profile, {part: found for part, found in parts.items() if found}, FIGURES)
        print(f"report: {REPORT}")
    if readme:
        update_readme()


def _in_repository() -> cluster_runs.Runs | None:
    """Return the finished runs of the paper's rows in runs/; it may also hold runs of other kinds alone."""
    if not any(RUNS.glob("*/result.json")):
        return None
    try:
        return cluster_runs.read(RUNS)
    except UserError as error:
        print(f"not shown: {error}", file=sys.stderr)
        return None


def command_line() -> None:
    """Draw what the command line asks for."""
    tyro.cli(main)
