"""Set runs of the paper's rows on a cluster beside the published numbers."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from statistics import mean
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from dp.paper.row import Row, key
from dp.paper.rows import ROWS
from experiments.analysis.efficiency import Curve
from paper_figures.cluster.runs import Measured, Runs
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import CLUSTER, Entry, Exhibit, Missing
from paper_figures.drawing.shared import draw, seeds, spread
from paper_figures.drawing.style import at_width, style

ACCURACIES = ("real_val", "real_train", "in_v2", "in_sketch", "in_r", "in_a")
ENTRY = Entry(
    "paper_scale", "At the paper's scale: what a cluster's runs have reached, beside the published numbers", CLUSTER, 1
)
SCALING = {4: "ImageNet-100, ViT-B", 5: "ImageNet-1k, ViT-B"}


def beside(exhibit: Exhibit | Missing, runs: Runs) -> Exhibit | Missing:
    """Return a table's exhibit with measured accuracies after the published ones of each row; any other as it is."""
    rows = [row for row in ROWS if f"table{row.table}" == exhibit.name]
    measured = [runs.of(row) for row in rows]
    if not any(measured):
        return exhibit
    names = [
        name for name in ACCURACIES if any(getattr(m.accuracies, name) is not None for each in measured for m in each)
    ]
    table, number = [], int(exhibit.name.removeprefix("table"))
    for printed, found in zip(published.table(number), measured, strict=True):
        line: dict[str, Any] = {}
        for name, value in printed.items():
            line[name] = value
            if name in names:
                line[f"{name} measured"] = spread([getattr(m.accuracies, name) for m in found])
        table.append(line | {"images measured": _sizes(found), "seeds measured": _seeds(found)})
    counts = [len(each) for each in measured if each]
    caption = (
        f'Columns "measured": runs of these very settings in {runs.folder}, mean ± half its 95% interval over '
        f"{seeds(counts)}, of {len(counts)} of {len(rows)} rows.{_remarks(runs, rows)}"
    )
    return replace(exhibit, published=table, measured=caption)


def _sizes(found: Sequence[Measured]) -> str:
    return ", ".join(f"{size:,}" for size in sorted({each.images for each in found}))


def _seeds(found: Sequence[Measured]) -> str:
    return ", ".join(str(each.seed) for each in sorted(found, key=lambda each: each.seed))


def _remarks(runs: Runs, rows: Sequence[Row]) -> str:
    found = [each for row in rows for each in runs.of(row) if each.not_as_row]
    by_run = {each.folder: each.not_as_row for each in found}
    return f" Otherwise than the row: {'; '.join(f'{f}: {text}' for f, text in by_run.items())}." if by_run else ""


def make(runs: Runs) -> Exhibit:
    """Make the exhibit of all that was measured, with curves like those of figures 1 and 4 where there are points."""
    rows = [row for row in ROWS if runs.of(row)]
    panels = [number for number in SCALING if any(row.table == number for row in rows)]
    figure = None
    if panels:
        with style():
            figure, axes = plt.subplots(
                1, len(panels), figsize=at_width(4.75 * len(panels), 3.9), squeeze=False, layout="constrained"
            )
            for axis, number in zip(axes.flat, panels, strict=True):
                _panel(axis, number, runs)
    left_out = f" Not shown: {'; '.join(runs.left_out)}." if runs.left_out else ""
    curves = (
        "Hollow: single runs published in tables 4 and 5 of arXiv 2502.15588v1 (figure 4; its best points are figure "
        "1's). Filled: measured, mean and its 95% interval over seeds, at the images that the run ended with. "
    )
    return Exhibit(
        ENTRY,
        f"{curves if panels else ''}Rows of the paper's tables, run by dp run --row in {runs.folder} "
        f"({len({each.folder for each in runs.measured})} runs). Accuracies in percent, of the averaged weights; the "
        "real training set is held out. Difference: measured minus published, on real validation "
        f"images.{_remarks(runs, rows)}{left_out}",
        [_line(each) for row in rows for each in runs.of(row)],
        figure,
        table=[_summary(row, runs.of(row)) for row in rows],
    )


def _panel(axis: Axes, number: int, runs: Runs) -> None:
    for method, points in published.curves(number).items():
        draw(axis, points, method, line=":", label=f"{method}, published", markerfacecolor="white")
        curve: Curve = {}
        for each in sorted(runs.measured, key=lambda each: each.images):
            if (each.row.table, each.row.method) == (number, method) and each.accuracies.real_val is not None:
                curve.setdefault(each.images, []).append(each.accuracies.real_val)
        if curve:
            draw(axis, curve, method, label=f"{method}, measured")
    axis.set(xscale="log", xlabel="final number of generated training images", ylabel="real validation accuracy (%)")
    axis.set_title(SCALING[number])
    axis.legend(loc="lower right", fontsize=6)


def _line(each: Measured) -> dict[str, Any]:
    """Return a run or branch as a line of the CSV."""
    printed = {f"published_{name}": value for name, value in asdict(each.row.published).items()}
    return {
        "row": key(each.row),
        "task": each.row.task,
        "run": each.folder,
        "seed": each.seed,
        "images": each.images,
        **asdict(each.accuracies),
        **printed,
        "not_as_row": each.not_as_row,
    }


def _summary(row: Row, found: Sequence[Measured]) -> dict[str, Any]:
    known = [each.accuracies.real_val for each in found if each.accuracies.real_val is not None]
    printed = row.published.real_val
    return {
        "row": key(row),
        "images": _sizes(found),
        "seeds": _seeds(found),
        **{published.heading(name): spread([getattr(m.accuracies, name) for m in found]) for name in ACCURACIES},
        "published %": printed,
        "difference": f"{mean(known) - printed:+.2f}" if known and printed is not None else None,
    }
