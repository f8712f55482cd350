"""Generators: does Deliberate Practice (DP) depend on the generator, above all on its diversity?

Question   Which generator is best to train on, and what does DP add on each? (Claim C12)
Feeds      table 2 and the figure "diversity_gain"
Command    python -m experiments run generators
Time       about an hour on 2 cores; making the two weaker generators again another 15:
           python -m experiments.studies.generators
Expected   diverse generators win for static training; DP adds most where diversity is lacking

Six generators: the repository's at four classifier-free guidance scales, the same U-Net trained for a fifth of the
time, and one of less than half its parameters. All decode with the repository's autoencoder. Diversity and fidelity of
each are measured against real validation images, in the features of the oracle.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dp.config import PracticeConfig, plain
from dp.data.fashion_mnist import BUNDLE, train_images, validation_images
from dp.generation.diversity import diversity
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.learner.evaluate import logits_of
from dp.practice.additions import image_maker
from dp.pretrained.load import BUNDLED, bundled_pipeline
from dp.pretrained.oracle import BUNDLED_ORACLE, bundled_oracle, features
from dp.pretrained.train import GeneratorConfig, encode_all, new_scheduler, train_unet
from dp.utils.command_line import run_command
from dp.utils.files import atomic_files, write_json
from dp.utils.pixels import normalise
from experiments.engine.practice_runs import generator_files, generator_in, outcomes_of, practice_job, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.paths import BUILD, ROOT
from experiments.studies.settings import EQUAL, FEWER, MIDDLE, STATIC, Preset

FOLDER = ROOT / "experiments" / "assets" / "generators"
# The weaker generators, by what their training lacked.
WEAKER = {
    "short training": GeneratorConfig(unet_iterations=900),
    "narrow": GeneratorConfig(unet_channels=(32, 64)),
}
IMAGES = 2000  # of each generator, for its diversity


@dataclass(frozen=True)
class Generators:
    """Settings of the study.

    Attributes:
        static, dp: settings of the runs, all but guidance scale, sizes and seed.
        preset: sizes of a DP run; static training gets as many images as it ends with.
        scales: guidance scales of the repository's generator.
        weaker_scale: guidance scale of the weaker generators.
        seeds: of the runs.
    """

    static: PracticeConfig = STATIC
    dp: PracticeConfig = EQUAL
    preset: Preset = MIDDLE
    scales: tuple[float, ...] = (1.25, 2.0, 3.0, 4.0)
    weaker_scale: float = 1.5
    seeds: tuple[int, ...] = FEWER


def jobs(settings: Generators, _: Profile) -> list[Job]:
    """List one result per run, and one per generator for its diversity."""
    choices = {f"scale {scale:g}": ("bundled", scale) for scale in settings.scales}
    choices |= {name: (name, settings.weaker_scale) for name in WEAKER}
    size = settings.preset.n_initial + settings.preset.rounds * settings.preset.n_per_round
    found = []
    for label, (generator, scale) in choices.items():
        stem = label.replace(" ", "-")
        of_all = {"generator": generator, "guidance_scale": scale}
        weights = generator_files(folder_of(generator))
        measured = of_all | {"images": IMAGES, "inference_steps": settings.static.inference_steps}
        found.append(
            Job("generators", f"diversity-{stem}", measured, compute_diversity, (*weights, BUNDLED_ORACLE, BUNDLE))
        )
        for seed in settings.seeds:
            static = replace(plain(settings.static), n_initial=size, rounds=0, n_per_round=0)
            runs = {"static": static, "DP": settings.preset.apply(settings.dp)}
            for method, run in runs.items():
                run = replace(run, seed=seed, guidance_scale=scale)
                job = practice_job("generators", f"{method}-{stem}-seed{seed}", run)
                found.append(
                    replace(
                        job,
                        config=job.config | {"generator": generator},
                        compute=compute,
                        depends=(*dict.fromkeys((*job.depends, *weights)),),
                    )
                )
    return found


def folder_of(generator: str) -> Path:
    """Return where the weights of a generator are."""
    return BUNDLED if generator == "bundled" else FOLDER / generator.replace(" ", "-")


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute a run with one of the generators."""
    config = settings_of(values)
    generator = generator_in(folder_of(values["generator"]), config)
    initial = image_maker(config, generator, 0)(range(config.n_initial))
    return outcomes_of(config, generator, initial, progress)[0]


def compute_diversity(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Measure precision, recall, coverage, and the share of images that the oracle recognises as their class."""
    oracle, real, n = bundled_oracle(), validation_images(), values["images"]
    scale, steps = values["guidance_scale"], values["inference_steps"]
    config = PracticeConfig(seed=10**6, guidance_scale=scale, inference_steps=steps)
    made = image_maker(config, generator_in(folder_of(values["generator"]), config), 0)(range(n))
    found = diversity(features(oracle, real.images[:n]), features(oracle, made.images))
    recognised = (logits_of(oracle, made.images).argmax(1) == made.labels).float().mean().item()
    return asdict(found) | {"recognised": recognised}


def make() -> None:
    """Train the weaker generators and write them to experiments/assets; the same command resumes."""
    pipe, real = bundled_pipeline(), train_images()
    means, stds = encode_all(pipe.vae, normalise(real.images))
    scale = pipe.vae.config.scaling_factor
    for name, config in WEAKER.items():
        checkpoint = BUILD / "generators" / f"{name.replace(' ', '-')}.safetensors"
        unet = train_unet(config, means * scale, stds * scale, real.labels, checkpoint)
        with atomic_files(folder_of(name)) as files:
            LatentClassPipeline(pipe.vae.half(), unet.half(), new_scheduler()).save_pretrained(files)
        pipe.vae.float()
        write_json(folder_of(name) / "training.json", asdict(config))


STUDY = Study("generators", Generators(), jobs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_command(make)
