"""Pictures out of a cluster's run: initial images beside those of its last addition, and how hard each addition was."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from dp.pool.folder import PoolFolder
from dp.runs.result import read_result
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError
from paper_figures.cluster.runs import Runs
from paper_figures.drawing.exhibit import CLUSTER, Entry, Exhibit, Missing
from paper_figures.drawing.style import COLOURS, at_width, style

LINES, COLUMNS = 4, 4  # pictures of each of the two
SHARDS = 8  # read at most of a round
NUMBERS = ("iteration", "pool_size", "entropy", "correct_at_birth")  # of an addition
SIDE = 128  # pixels of a picture as drawn
ENTRY = Entry(
    "cluster_pictures",
    "At the paper's scale: what a run's images look like (of the kind of figures 6 right, 10, 11 and 13)",
    CLUSTER,
    2,
)


@dataclass(frozen=True)
class _Run:
    name: str
    additions: list[dict[str, Any]]  # as result.json has them
    classes: tuple[str, ...]
    initial: Samples
    last: Samples


def make(runs: Runs) -> Exhibit | Missing | None:
    """Make the exhibit of the run with the most additions among those that have their pool; None without additions."""
    results = {each.folder: runs.folder / each.folder / "result.json" for each in runs.measured}
    additions = {name: read_result(path).get("additions", []) for name, path in results.items()}
    practised = [name for name, found in additions.items() if found]
    if not practised:
        return None
    with_pool = [name for name in practised if (runs.folder / name / "pool").is_dir()]
    if not with_pool:
        return Missing(ENTRY, f"{runs.folder}: no run with additions has kept its pool/")
    name = max(with_pool, key=lambda name: len(additions[name]))
    try:
        run = _read(runs.folder / name, additions[name])
    except UserError as error:
        return Missing(ENTRY, str(error))
    with style():
        figure, axes = plt.subplots(1, 3, figsize=at_width(6.75, 2.6), width_ratios=(1, 1, 0.9), layout="constrained")
        _pictures(axes[0], run.initial, "initial images")
        _pictures(axes[1], run.last, f"addition {len(run.additions)}")
        _hardness(axes[2], run.additions)
    first, last = run.additions[0], run.additions[-1]
    return Exhibit(
        ENTRY,
        f"Run {name}: the first images of {LINES} classes ({', '.join(_classes(run.initial, run.classes))}), a class a "
        f"line, of its initial pool and of its last addition. Right: mean entropy of each addition to the learner that "
        f"guided it, from {first['entropy']:.2f} to {last['entropy']:.2f} nats, and the share that this learner took "
        f"for what they are, from {first['correct_at_birth']:.0%} to {last['correct_at_birth']:.0%}.",
        [
            {
                "run": name,
                "addition": k,
                **{c: each[c] for c in NUMBERS},
            }
            for k, each in enumerate(run.additions, 1)
        ],
        figure,
    )


def _read(folder: Path, additions: list[dict[str, Any]]) -> _Run:
    with PoolFolder.open(folder / "pool") as pool:
        return _Run(folder.name, additions, pool.layout.classes, _first(pool, 0), _first(pool, len(pool.rounds) - 1))


def _first(pool: PoolFolder, round_: int) -> Samples:
    """Return the first images of the first classes of a round; it may have far more than are to be read."""
    parts: list[Samples] = []
    for shard in pool.manifest().of_round(round_)[:SHARDS]:
        part = pool.read_shard(shard)
        parts.append(part[part.labels < LINES])
        rows = concatenate(parts)
        chosen = [(rows.labels == label).nonzero()[:COLUMNS, 0] for label in range(LINES)]
        if min(map(len, chosen)) == COLUMNS:
            break
    return rows[torch.cat(chosen)]


def _classes(samples: Samples, classes: tuple[str, ...]) -> list[str]:
    return [classes[label] for label in samples.labels.unique().tolist()]


def _pictures(axis: Axes, samples: Samples, title: str) -> None:
    canvas = np.full((LINES * SIDE, COLUMNS * SIDE, 3), 255, np.uint8)
    for i, label in enumerate(samples.labels.unique().tolist()):
        for j, image in enumerate(samples.images[samples.labels == label]):
            picture = Image.fromarray(image.expand(3, -1, -1).permute(1, 2, 0).numpy()).resize((SIDE - 4, SIDE - 4))
            canvas[i * SIDE : (i + 1) * SIDE - 4, j * SIDE : (j + 1) * SIDE - 4] = np.asarray(picture)
    axis.imshow(canvas)
    axis.set_title(title)
    axis.set_axis_off()


def _hardness(axis: Axes, additions: list[dict[str, Any]]) -> None:
    number = range(1, len(additions) + 1)
    axis.plot(number, [each["entropy"] for each in additions], "o-", color=COLOURS["DP"], label="entropy (nats)")
    axis.plot(
        number, [each["correct_at_birth"] for each in additions], "s--", color=COLOURS["static"],
        label="taken for its class (share)",
    )  # fmt: skip
    axis.set(xlabel="addition", ylim=(0, None))
    axis.legend(fontsize=6)
