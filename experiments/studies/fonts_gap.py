"""Gap: does practice gain more, the less the generator has seen of the target?

Question   Generators whose training images were handwriting to 0, 1, 5 and 100 percent, printed digits for the rest:
           what does practice gain over static training on each? (Claim C12)
Feeds      the figure "fonts_gap"
Command    python -m experiments run fonts_gap
Time       about 2.6 core-hours; the three generators beside the first another hour to train:
           python -m experiments.studies.fonts_generator make --seen 1 5 100
Expected   a generator that knows the target leaves little to gain

Every method runs at two guidance scales, and practice with two ways of guiding: through the U-Net at all steps, as in
the paper, and with x0 alone at the late ones. Of each the figure takes what validation finds better, for a seed what
that of the other seeds does. A generator that has not been trained yet has no runs.
"""

from dataclasses import dataclass, replace

from dp.config import PracticeConfig
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import tuning
from experiments.studies.fonts_generator import trained
from experiments.studies.fonts_runs import BASE, job
from experiments.studies.fonts_tuning import as_in_the_paper
from experiments.studies.settings import SEEDS

WAYS: dict[str, tuning.Point] = {
    "unet": {"window": (0.0, 1.0), "gradient": "unet"},
    "late": {"window": (0.0, 0.4), "gradient": "x0"},
}


@dataclass(frozen=True)
class Gap:
    """Settings of the study.

    Attributes:
        base: of all runs.
        seeds: of the runs.
        seen: percent of handwriting among a generator's training images.
        scales: classifier-free guidance.
        size: images at the end of a run.
    """

    base: PracticeConfig = BASE
    seeds: tuple[int, ...] = SEEDS
    seen: tuple[int, ...] = (0, 1, 5, 100)
    scales: tuple[float, ...] = (1.25, 3.0)
    size: int = 1000


def jobs(settings: Gap, _: Profile) -> list[Job]:
    """List one result per run, seed by seed."""
    found = []
    for seed in settings.seeds:
        for seen in settings.seen:
            if not trained(seen):
                continue
            for scale in settings.scales:
                runs: dict[str, tuple[str, tuning.Point]] = {"static": ("static", {})}
                runs |= {f"DP_{name}": ("DP", way) for name, way in WAYS.items()}
                for name, (method, way) in runs.items():
                    point = as_in_the_paper(method) | {"guidance_scale": scale} | way
                    run = replace(tuning.apply(settings.base, method, point, settings.size), seed=seed)
                    found.append(job("fonts_gap", f"{name}-seen{seen}-scale{scale:g}-seed{seed}", run, seen))
    return found


STUDY = Study("fonts_gap", Gap(), jobs)
