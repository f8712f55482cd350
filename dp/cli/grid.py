"""`dp grid`: what the learners that a run has kept make of the same seeds, and how hard its additions are to them."""

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import tyro
from pydantic import Field
from torch import nn
from tqdm import tqdm

from dp.config import config_from
from dp.generation.visualize import denoised_estimates, guided_grid
from dp.learner.evaluate import hardness
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.runs.inputs import source_from
from dp.runs.load import load_learner, state_of
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError
from dp.utils.files import write_record
from dp.utils.folders import read_settings
from dp.utils.provenance import provenance
from dp.utils.seeding import GRID, seed_for
from dp.utils.validation import Count, CountOrZero, NonNegative, Seed, checked

Few = Annotated[int, Field(ge=1, le=1000)]
Omegas = Annotated[tuple[NonNegative, ...], Field(min_length=1, max_length=100)]
Classes = Annotated[tuple[CountOrZero, ...], Field(max_length=1000)]


@checked
def grid(
    folder: tyro.conf.Positional[Path],
    omegas: Omegas = (0.0, 0.1, 0.2, 0.4),
    classes: Classes = (),
    learners: Few = 5,
    per_class: Few = 1,
    judged: Count = 1000,
    seed: Seed = 0,
) -> None:
    """Draw what a run's learners make of the same seeds, and measure how hard additions are to them; FOLDER/grid.json.

    Pictures over training time and omega (of the kind of figures 6 right, 10 and 12), the denoised estimate at every
    step (figure 8), and the error of each learner on the images that were misclassified when they were added (figure
    6 left). `make figures` draws them where the run is one that it shows.

    Args:
        folder: a run whose pool and learners are kept.
        omegas: guidance strengths of the pictures.
        classes: labels of the pictures; none given: the first four.
        learners: how many of those that guided additions, evenly over the run.
        per_class: pictures of each class.
        judged: images of each addition that are looked at for its misclassified ones.
        seed: another seed, other pictures.
    """
    pool, settings = PoolFolder.open(folder / "pool"), read_settings(folder, "source", "config")
    names, config = pool.layout.classes, config_from(settings["config"])
    rounds = len(pool.rounds) - 1
    classes = classes or tuple(range(min(4, len(names))))
    if max(classes) >= len(names):
        raise UserError(f"classes: got {max(classes)}, expected labels in 0 .. {len(names) - 1}")
    if rounds < 1:
        raise UserError(f"{folder}: no additions, so no learner guided one; name a run with additions")
    state = state_of(folder)
    made_by = {each["iteration"]: round_ for round_, each in enumerate(state.additions[:rounds], 1)}
    chosen = sorted({round(i) for i in torch.linspace(0, len(made_by) - 1, learners).tolist()})
    kept: dict[int, nn.Module] = {}
    for iteration in [list(made_by)[i] for i in chosen]:
        load_learner(folder, made_by[iteration], state)
        kept[iteration] = copy.deepcopy(on_full_images(config, state.ema.module))
    generator = source_from(settings["source"]).generator(config)
    labels = torch.tensor([label for label in classes for _ in range(per_class)])
    generator.batch_size = min(generator.batch_size, len(labels))  # a larger batch would be filled up
    seeds = [seed_for(seed, GRID, i) for i in range(len(labels))]
    with tqdm(total=1.0, desc="drawing", bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}") as bar:

        def report(share: float) -> None:
            bar.update(0.9 * share - bar.n)

        guided = guided_grid(generator, kept, config.guidance, omegas, labels, seeds, report)
        last = list(kept.values())[-1]
        steps = denoised_estimates(generator, last, config.guidance, labels[::per_class], seeds[::per_class])
        bar.update(1 - bar.n)
    added = [first_of_round(pool, made_by[iteration], judged) for iteration in kept]
    found = {
        "guided": guided,
        "intermediate": steps,
        "hardness": {"iterations": list(kept)} | hardness(list(kept.values()), added),
        "classes": [names[label] for label in classes],
        "guidance": asdict(config.guidance),
        "made_by": provenance(),
    }
    write_record(folder / "grid.json", found)
    print(folder / "grid.json")


def first_of_round(pool: PoolFolder, round_: int, count: int) -> Samples:
    """The first `count` images of a round."""
    parts: list[Samples] = []
    for shard in pool.manifest().of_round(round_):
        parts.append(pool.read_shard(shard))
        if sum(map(len, parts)) >= count:
            break
    return concatenate(parts)[:count]
