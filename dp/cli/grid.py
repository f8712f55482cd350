"""`dp grid`: what the learners that a run has kept make of the same seeds, and how hard its additions are to them."""

import colorsys
import copy
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import jinja2
import torch
import tyro
from pydantic import Field
from torch import nn
from tqdm import tqdm

from dp.generation import pool_map
from dp.generation.visualize import denoised_estimates, guided_grid, png
from dp.learner.evaluate import hardness, logits_of
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.runs.inputs import source_of
from dp.runs.load import config_of, load_learner, state_of
from dp.samples import Samples, concatenate
from dp.utils.errors import UserError
from dp.utils.files import atomic, write_record
from dp.utils.provenance import provenance
from dp.utils.seeding import GRID, seed_for
from dp.utils.validation import Count, CountOrZero, NonNegative, Seed, checked

MAPPED = 400  # images on the map of a pool
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
    """Draw what a run's learners make of the same seeds, and measure how hard additions are to them; FOLDER/grid.html.

    Pictures over training time and omega (of the kind of figures 6 right, 10 and 12), the denoised estimate at every
    step (figure 8), and the error of each learner on the images that were misclassified when they were added (figure
    6 left). Numbers and pictures go to FOLDER/grid.json. grid.html shows them with a slider over omega, beside a map of
    the pool: its images where the last learner's answers put them, coloured by the addition that they came with.
    `make figures` draws the figures where the run is one that it shows.

    Args:
        folder: a run whose pool and learners are kept.
        omegas: guidance strengths of the pictures.
        classes: labels of the pictures; none given: the first four.
        learners: how many of those that guided additions, evenly over the run.
        per_class: pictures of each class.
        judged: images of each addition that are looked at for its misclassified ones.
        seed: another seed, other pictures.
    """
    source, config = source_of(folder), config_of(folder)
    if not os.access(folder, os.W_OK):  # told before the drawing, not after
        raise UserError(f"{folder}: cannot be written to, where the page goes; name a copy of the run")
    pool = PoolFolder.open(folder / "pool")
    names = pool.layout.classes
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
    generator = source.generator(config)
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
    with atomic(folder / "grid.html") as partial:
        partial.write_text(page(folder, found, map_of(pool, last)))
    print(f"{folder / 'grid.json'} {folder / 'grid.html'}")


def page(folder: Path, found: dict[str, Any], map_: dict[str, Any]) -> str:
    """Return the page of a grid."""
    cells: dict[tuple[int, float], list[dict[str, Any]]] = {}
    for each in found["guided"]:
        cells.setdefault((each["iteration"], each["omega"]), []).append(each)
    latest = max(iteration for iteration, _ in cells)
    frames = [
        {
            "omega": f"{omega:g}",
            "iteration": f"{iteration:,}",
            "first": iteration == latest,
            "images": images,
            "entropy": f"{sum(each['entropy'] for each in images) / len(images):.2f}",
            "wrong": sum(not each["correct"] for each in images),
        }
        for (iteration, omega), images in sorted(cells.items(), key=lambda each: (-each[0][0], each[0][1]))
    ]
    source = jinja2.PackageLoader("dp.cli", "")
    template = jinja2.Environment(loader=source, autoescape=True).get_template("grid.html")
    script = Path(pool_map.__file__).with_name("sliders.js").read_text()
    title = f"{folder.resolve().name}: what its learners find hard"
    return template.render(title=title, frames=frames, classes=found["classes"], map=map_, script=script)


def map_of(pool: PoolFolder, learner: nn.Module) -> dict[str, Any]:
    """Return a pool as layers of a map, one per round in base64, of as many images of each as there is room for."""
    rounds = len(pool.rounds)
    some = concatenate([first_of_round(pool, round_, max(2, MAPPED // rounds)) for round_ in range(rounds)])
    places, across, down = pool_map.on_a_grid(pool_map.two_dimensions(logits_of(learner, some.images).numpy()))
    pixels = some.images.permute(0, 2, 3, 1).numpy()
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    colours = [pool_map.GREY]
    for k in range(rounds - 1):
        red, green, blue = colorsys.hsv_to_rgb(0.78 - 0.68 * k / max(1, rounds - 2), 0.8, 0.85)
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    layers = []
    for round_, colour in enumerate(colours):
        mine = (some.rounds == round_).numpy()
        picture = pool_map.layer_of(pixels[mine], places[mine], across, down, colour)
        layers.append(png(torch.from_numpy(picture).permute(2, 0, 1)))
    names = ["initial pool", *map(str, range(1, rounds))]
    return {"layers": layers, "swatches": list(zip(names, colours, strict=True)), "images": len(some)}


def first_of_round(pool: PoolFolder, round_: int, count: int) -> Samples:
    """The first `count` images of a round."""
    parts: list[Samples] = []
    for shard in pool.manifest().of_round(round_):
        parts.append(pool.read_shard(shard))
        if sum(map(len, parts)) >= count:
            break
    return concatenate(parts)[:count]
