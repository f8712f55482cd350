"""Pictures to move through: the same seeds as guidance grows, and a pool as it grows."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from dp.generation.pool_map import GREY, layer_of, on_a_grid
from dp.utils.errors import UserError
from experiments.engine.practice_runs import SHEET_COLUMNS
from experiments.engine.results import load
from paper_figures.drawing.pictures import decode, mosaic

WIDTH, HEIGHT, MARGIN = 320, 190, 30  # of the accuracy curve, in its own units


def guidance_frames(profile: str) -> list[dict[str, Any]]:
    """Return one mosaic for each learner and omega of the grids study, those to see without a script first.

    Empty if the study has no result, or a damaged one (the sections that show it say so).
    """
    try:
        result = load(profile, "grids").get("grids")
    except UserError:
        return []
    if result is None:
        return []
    frames = []
    cells: dict[tuple[int, float], list[dict[str, Any]]] = {}
    for each in result["guided"]:
        cells.setdefault((each["iteration"], each["omega"]), []).append(each)
    last = max(iteration for iteration, _ in cells)
    for (iteration, omega), found in sorted(cells.items(), key=lambda item: (-item[0][0], item[0][1])):
        classes = sorted({each["label"] for each in found})
        lines = [list(line) for line in zip(*[[e for e in found if e["label"] == k] for k in classes], strict=True)]
        grid = mosaic(lines)
        wrong = sum(not each["correct"] for each in found)
        frames.append(
            {
                "omega": f"{omega:g}",
                "iteration": f"{iteration:,}",
                "first": iteration == last,
                "entropy": f"{np.mean([each['entropy'] for each in found]):.2f}",
                "wrong": f"{wrong} of {len(found)} taken for another class",
                "png": _png(255 - grid if grid.ndim == 2 else grid),  # grey pictures are shown dark on white
            }
        )
    return frames


def growth() -> dict[str, Any] | None:
    """Return the live run's pool as layers of a map, one per addition, and its accuracy curve; None without a run."""
    try:
        results = load("live", "live")
    except UserError:
        return None
    run = results.get("dp", {})
    pool = run.get("pool_map")
    if pool is None or not run["additions"]:
        return None
    images = _images(pool["sheet"], len(pool["rounds"]))
    places, across, down = on_a_grid(np.array([pool["x"], pool["y"]]).T)
    rounds, last = np.array(pool["rounds"]), len(run["additions"])
    ramp = colormaps["plasma"](0.3 + 0.55 * np.arange(last) / last)[:, :3]
    colours = [GREY, *(tuple(map(int, np.round(255 * colour))) for colour in ramp)]
    layers = [
        _png(layer_of(images[rounds == k], places[rounds == k], across, down, colour), optimize=True)
        for k, colour in enumerate(colours)
    ]
    added = run["config"]["n_per_round"]
    return {
        "layers": layers,
        "curve": _curve(results),
        "swatches": [("initial pool" if k == 0 else f"{k}", f"rgb{colour}") for k, colour in enumerate(colours)],
        "lead": f"Made on this machine just now: {run['config']['n_initial']:,} plain images, then {last} additions of "
        f"{added} guided ones, each when validation accuracy stalls.",
        "caption": "Left, every training image where the two principal components of the oracle's features put it, "
        "moved to the nearest free place of a grid (all together, whatever their round). Right, accuracy on real "
        "validation images (orange: DP; grey: static training on as many images from the start); dots mark additions.",
    }


def _images(sheet: str, count: int) -> np.ndarray:
    """Return the images of a sheet of squares in rows: uint8 [n, side, side] or, of colour, [n, side, side, 3]."""
    picture = decode(sheet)
    columns = min(SHEET_COLUMNS, count)
    side = picture.shape[1] // columns
    rows = picture.shape[0] // side
    split = picture.reshape(rows, side, columns, side, *picture.shape[2:]).swapaxes(1, 2)
    return split.reshape(-1, side, side, *picture.shape[2:])[:count]


def _curve(results: dict[str, Any]) -> str:
    """Return the accuracy of the live runs over iterations as SVG, with a dot at each addition."""
    runs = {name: results[name] for name in ("static", "dp") if name in results}
    log = results["dp"]["log"]
    every = [entry["validation_accuracy"] for run in runs.values() for entry in run["log"]]
    low, high = np.percentile(every, 15), max(every)
    low, high = 5 * np.floor(low / 5), 5 * np.ceil(high / 5)
    end = log[-1]["iteration"]

    def across(iteration: float) -> float:
        return MARGIN + (WIDTH - MARGIN - 8) * iteration / end

    def up(accuracy: float) -> float:
        return 8 + (HEIGHT - 30) * (1 - (max(accuracy, low) - low) / (high - low))

    def line(run: dict[str, Any]) -> str:
        return " ".join(f"{across(e['iteration']):.1f},{up(e['validation_accuracy']):.1f}" for e in run["log"])

    at = {entry["iteration"]: entry["validation_accuracy"] for entry in log}
    dots, shares = [], [across(results["dp"]["additions"][0]["iteration"]) / WIDTH]
    for addition in results["dp"]["additions"]:
        near = min(at, key=lambda i: abs(i - addition["iteration"]))
        dots.append(f'<circle cx="{across(near):.1f}" cy="{up(at[near]):.1f}" r="3"/>')
    steps = [addition["iteration"] for addition in results["dp"]["additions"][1:]] + [end]
    shares += [across(each) / WIDTH for each in steps]
    ticks = "".join(
        f'<line x1="{MARGIN}" x2="{WIDTH - 8}" y1="{up(v):.1f}" y2="{up(v):.1f}"/>'
        f'<text x="{MARGIN - 4}" y="{up(v) + 3:.1f}" text-anchor="end">{v:g}</text>'
        for v in np.arange(low, high + 1, 5)
    )
    names = (
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 4}" text-anchor="end">{end:,} iterations</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 4}">validation accuracy, %</text>'
    )
    static = f'<polyline class="static" points="{line(runs["static"])}"/>' if "static" in runs else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Validation accuracy over training, with a dot at '
        f'each addition" data-done="{" ".join(f"{100 * share:.1f}" for share in shares)}">{ticks}{names}{static}'
        f'<polyline class="whole" points="{line(results["dp"])}"/><g class="done">'
        f'<polyline points="{line(results["dp"])}"/>{"".join(dots)}</g></svg>'
    )


def _png(picture: np.ndarray, **how: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", **how)
    return base64.b64encode(buffer.getvalue()).decode()
