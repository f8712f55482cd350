"""Generate a pool of images: plain ones, or guided by the learner of a finished run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from dp.cli.pool import Folder, pool_command
from dp.cli.practise import source_settings
from dp.cli.prune import _learner
from dp.config import PracticeConfig
from dp.generation.guided_batch import fit_guided_batch
from dp.guidance.guidance import GuidanceConfig
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.pool.rounds import make_round
from dp.pool.shards import Encoding, Layout
from dp.practice.additions import classes_of
from dp.practice.checks import check_learner
from dp.runs.disk_space import check_room, pool_need
from dp.runs.inputs import Source
from dp.runs.load import config_of, expect_classes, state_of
from dp.samples import Samples
from dp.utils import distributed as processes
from dp.utils.errors import UserError
from dp.utils.folders import renew
from dp.utils.seeding import image_seed
from dp.utils.validation import Count, NonNegative, Scale, Seed, Steps, checked


@checked
def generate(
    pool: Folder,
    count: Count = 100,
    seed: Seed = 0,
    omega: NonNegative = 0.0,
    guided_by: Path | None = None,
    guidance_scale: Scale = 3.0,
    steps: Steps = 10,
    source: Annotated[Source, tyro.conf.arg(name="")] = Source(),
    encoding: Encoding = "PNG",
) -> None:
    """Generate images of all classes in turn into a pool; the same command goes on where it stopped.

    Started by torchrun (also under SLURM), the processes share the images.

    Args:
        pool: a new pool folder; `dp pool export` makes pictures of it.
        count: images.
        seed: another seed, other images.
        omega: guidance strength; needs guided_by.
        guided_by: a run whose learner guides, and judges, the images; the steps and the gradient are as in that run.
        guidance_scale: classifier-free guidance, 1 + lambda_cfg.
        steps: DDIM steps.
        source: the generator.
        encoding: of the images kept.
    """
    processes.join()
    guidance = GuidanceConfig(omega=omega)
    if guided_by is not None:
        guidance = replace(config_of(guided_by).guidance, omega=omega)
    elif omega > 0:
        raise UserError(f"guided_by: none given with omega {omega}; name a run whose learner guides")
    config = PracticeConfig(seed=seed, rounds=0, guidance_scale=guidance_scale, inference_steps=steps)
    generator = source.generator(config)
    names, shape = source.names(), source.image_shape(generator)
    learner = other = None
    if guided_by is not None:
        expect_classes(guided_by, names, "the generator")
        generator.check_guidance(guidance)
        state = state_of(guided_by)
        learner, other = (on_full_images(config_of(guided_by), each) for each in (state.ema.module, state.learner))
        check_learner(learner, torch.zeros(1, *shape, dtype=torch.uint8), len(names))
        fit_guided_batch(generator, learner, guidance)
    check_room(pool_need(pool, [count], Layout(names, shape, encoding=encoding)))
    if processes.rank() == 0:
        settings = {
            "count": count,
            "seed": seed,
            "guidance": asdict(guidance),
            "guided_by": guided_by and _learner(guided_by),
            "guidance_scale": guidance_scale,
            "steps": steps,
            "source": source_settings(source),
            "encoding": encoding,
        }
        folder = PoolFolder.create(
            pool, names, shape, exist_ok=True, encoding=encoding, settings=settings, kind="generated pool"
        )
        if not folder.rounds:
            renew(pool, settings)
    processes.wait()
    if processes.rank() > 0:
        folder = PoolFolder.open(pool, writable=True, rank=processes.rank())
    with folder, tqdm(desc="images", total=-(-count // processes.world()), disable=processes.rank() > 0) as bar:

        def make(slots: range) -> Samples:
            labels = torch.tensor(slots) % classes_of(generator)
            seeds = [image_seed(seed, 0, slot) for slot in slots]
            samples = generator.generate(labels, seeds, learner, guidance, other)
            bar.update(len(slots))
            return samples

        make_round(folder, 0, count, make, generator.batch_of(guidance))
    if processes.rank() == 0:
        pool_command("show", pool)
    processes.leave()
