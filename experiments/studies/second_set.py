"""Second data set: does it hold for handwritten digits, with nothing tuned for them?

Question   Static training, practice, late plain images and pruning on MNIST, with the settings of Fashion-MNIST; and on
           digits of another source, which nothing has seen.
Feeds      the figure "second_set"
Command    python -m experiments run second_set
Time       about 35 minutes on 2 cores
Expected   the same order of the methods, with smaller differences, since digits are easy

The generator has the architecture and the training of the repository's, on 3,000 of MNIST's images; 1,000 others tell
plateaus and 1,000 others test. Nothing was chosen on them. `python -m experiments.studies.second_set` trains it again
(about 40 minutes on a core; resumes).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from dp.config import PracticeConfig, plain
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.learner.evaluate import accuracy
from dp.practice.additions import image_maker
from dp.practice.loop import run_practice
from dp.pretrained.train import GeneratorConfig, train_pipeline
from dp.utils.command_line import run_command
from dp.utils.files import atomic_files, write_json
from experiments.data.digits import PATH, mnist, other_digits
from experiments.engine.practice_runs import generator_files, generator_in, practice_job, reporting, settings_of
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.paths import BUILD, ROOT
from experiments.studies.settings import EQUAL, FEWER, MIDDLE, SMALL, Preset

FOLDER = ROOT / "experiments" / "assets" / "generators" / "mnist"
WEIGHTS = generator_files(FOLDER)


@dataclass(frozen=True)
class SecondSet:
    """Settings of the study.

    Attributes:
        base: of all runs but for sizes and seed.
        seeds: of the runs.
        static_sizes: images of static runs.
        presets: sizes of runs of practice; the last one's are also those of late plain images and of pruning.
        over_sampling: of pruning.
    """

    base: PracticeConfig = EQUAL
    seeds: tuple[int, ...] = FEWER
    static_sizes: tuple[int, ...] = (500, 1000, 4000, 16000)
    presets: tuple[Preset, ...] = (SMALL, MIDDLE)
    over_sampling: float = 4.0


def jobs(settings: SecondSet, _: Profile) -> list[Job]:
    """List one result per run."""
    found = []
    last = settings.presets[-1]
    late = last.apply(plain(settings.base))
    for seed in settings.seeds:
        runs = {
            f"static-{n}": replace(plain(settings.base), n_initial=n, rounds=0, n_per_round=0)
            for n in settings.static_sizes
        }
        runs |= {f"DP-{preset.n_initial}": preset.apply(settings.base) for preset in settings.presets}
        runs |= {
            f"omega0-{last.n_initial}": late,
            f"prune-{last.n_initial}": replace(late, over_sampling=settings.over_sampling),
        }
        for name, run in runs.items():
            job = practice_job("second_set", f"{name}-seed{seed}", replace(run, seed=seed))
            config = job.config | {"data": "mnist"}
            found.append(replace(job, config=config, compute=compute, depends=(*WEIGHTS, PATH)))
    return found


def compute(values: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """Compute a run on digits: outcomes, each with its accuracy on the digits of another source; log and additions."""
    config = settings_of(values)
    generator = generator_in(FOLDER, config)
    initial = image_maker(config, generator, 0)(range(config.n_initial))
    report, test = reporting(config, progress), lambda: mnist("test")
    outcomes, state = run_practice(config, generator, mnist("validation"), test, initial=initial, progress=report)
    others = other_digits()
    return {
        "outcomes": [each.numbers() | {"other_digits": accuracy(each.learner, others)} for each in outcomes],
        "log": state.log,
        "additions": state.additions,
    }


def make() -> None:
    """Train the generator and write it to experiments/assets; the same command resumes."""
    config = GeneratorConfig()
    pipe: LatentClassPipeline = train_pipeline(config, mnist("train"), BUILD / "generators" / "mnist")
    with atomic_files(FOLDER) as files:
        pipe.save_pretrained(files)
    write_json(FOLDER / "training.json", vars(config) | {"images": len(mnist("train"))})


STUDY = Study("second_set", SecondSet(), jobs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_command(make)
