"""Other learners: does it hold for architectures that nothing was tuned for?

Question   Static training, practice and late plain images with a ResNet and a plain ViT of timm, at the settings of
           the small ConvNet.
Feeds      the figure "learners"
Command    python -m experiments run learners
Time       about 45 minutes on 2 cores
Expected   practice ahead of static training for each, by amounts that differ

The learners that the scaling studies are about are shown beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies.scaling import static_job
from experiments.studies.settings import FEWER, QUESTION


@dataclass(frozen=True)
class Learners:
    """Settings of the study: a run, its seeds, and names of learners as `dp.learner.build_learner` takes them."""

    base: PracticeConfig = QUESTION
    seeds: tuple[int, ...] = FEWER
    # as in the names of results -> name of the learner
    learners: Mapping[str, str] = field(
        default_factory=lambda: {"resnet": "test_resnet", "plain_vit": "test_vit?patch_size=7"}
    )


def jobs(settings: Learners, _: Profile) -> list[Job]:
    """List one result per run."""
    found = []
    base = settings.base
    for seed in settings.seeds:
        for short, learner in settings.learners.items():
            run = replace(base, learner=learner, seed=seed)
            static = static_job("learners", run, base.final_size, seed)
            found += [
                replace(static, name=f"{short}-{static.name}"),
                practice_job("learners", f"{short}-DP-{base.n_initial}-seed{seed}", run),
                practice_job("learners", f"{short}-omega0-{base.n_initial}-seed{seed}", plain(run)),
            ]
    return found


STUDY = Study("learners", Learners(), jobs)
