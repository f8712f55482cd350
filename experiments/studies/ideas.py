"""Ideas: can practice be made to win, each method at its own best?

Question   Which small changes of how additions are made raise validation accuracy, on printed digits and on
           Fashion-MNIST, and what does the best combination reach with fresh seeds?
Feeds      the figure "ideas"
Command    python -m experiments run ideas
Time       about 8 core-hours
Expected   filters where the generator is foreign; elsewhere little

The budget is fixed. A search starts from the best point of practice (the studies tuning and fonts_tuning), for the
ConvNet, with two seeds a trial. First every idea is tried alone. Then the best one is kept, and each of the five next
that change something on top of it is tried there. What is best of all trials is run with fresh seeds, at several sizes,
for both learners; if that is the point itself, its runs are those of the studies of tuned practice. The same ideas
without guidance (omega = 0), at the size of the search, tell what guidance has to do with it. Only validation images
are looked at before that. Practice is thus searched for longer than the other methods: their searches have 12 to 14
trials of one run each, and so has the point that this one starts from.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from dp.config import PracticeConfig
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job, load, state
from experiments.engine.study import Profile, Study
from experiments.engine.variants import Variant
from experiments.studies import fonts, fonts_tuning, tuned, tuning
from experiments.studies.filtering import FILTERS
from experiments.studies.fonts_runs import job as fonts_job
from experiments.studies.settings import LEARNERS, SEEDS

Data = Literal["fonts", "fashion"]
SEARCHES = {"fonts": fonts_tuning.STUDY, "fashion": tuning.STUDY}


@dataclass(frozen=True)
class Idea:
    """Changes that an idea makes: fields of a run's settings, of its guidance, and of how additions are made."""

    config: tuple[tuple[str, Any], ...] = ()
    guidance: tuple[tuple[str, Any], ...] = ()
    variant: tuple[tuple[str, Any], ...] = ()
    weaker: bool = False  # with half the strength

    def apply(self, config: PracticeConfig, variant: Variant) -> tuple[PracticeConfig, Variant]:
        """Return the run and the variant with the changes."""
        omega = config.guidance.omega / 2 if self.weaker else config.guidance.omega
        guidance = replace(config.guidance, omega=omega, **dict(self.guidance))
        return replace(config, guidance=guidance, **dict(self.config)), replace(variant, **dict(self.variant))


IDEAS: dict[str, Idea] = {
    **{f"filter_{name}": Idea(config=(("filter", name),)) for name in FILTERS[1:]},
    "late_x0": Idea(guidance=(("gradient", "x0"), ("interval", (0.0, 0.4)))),
    "all_steps_unet": Idea(guidance=(("gradient", "unet"), ("interval", (0.0, 1.0)))),
    "half_strength": Idea(weaker=True),
    "mixed_strengths": Idea(guidance=(("strengths", "half"),)),
    "harder_of_two": Idea(variant=(("harder_of", 2),)),
    "weaker_harder_of_two": Idea(variant=(("harder_of", 2),), weaker=True),
    "views": Idea(variant=(("views", True),)),
    "confusion": Idea(config=(("class_shares", "errors"),)),
    **{f"scale_{scale:g}": Idea(variant=(("scale", scale),)) for scale in (1.25, 2.0, 3.0)},
    **{f"goal_{goal:g}": Idea(variant=(("goal", goal),)) for goal in (0.8, 1.2)},
}
NEXT = 5  # ideas that are tried on top of the best one
SIZES = {"fonts": fonts.Fonts().sizes, "fashion": tuned.Tuned().dp_sizes}  # those that tuned practice has


@dataclass(frozen=True)
class Ideas:
    """Settings of the study.

    Attributes:
        data: sets.
        trial_seeds: of the search.
        seeds: of the runs with the best combination.
        sizes: images at their end, by set.
        learners: of those runs.
        ideas: names of those that are tried.
    """

    data: tuple[Data, ...] = ("fonts", "fashion")
    trial_seeds: tuple[int, ...] = (100, 101)
    seeds: tuple[int, ...] = SEEDS
    sizes: dict[str, tuple[int, ...]] = field(default_factory=lambda: SIZES)
    learners: tuple[str, ...] = LEARNERS
    ideas: tuple[str, ...] = tuple(IDEAS)


def jobs(settings: Ideas, profile: Profile) -> list[Job]:
    """List one result per run; those that depend on what was found once that is recorded."""
    found: list[Job] = []
    for data in settings.data:
        search = profile.settings(SEARCHES[data])
        points = tuning.found(search, profile.name)
        first = settings.learners[0]
        if first not in points:
            continue
        start = tuning.apply(replace(search.base, learner=first), "DP", points[first]["DP"][0], search.size)
        same: list[tuple[PracticeConfig, Variant]] = [(start, Variant()), (start, Variant(scale=start.guidance_scale))]
        tried: dict[str, tuple[str, ...]] = {"none": ()}
        tried |= {name: (name,) for name in settings.ideas if made_of((name,), start) not in same}
        found += trials(settings, data, tried, start)
        ranked = ranking(settings, data, tried, start, profile.name)
        if not ranked:
            continue
        best, *others = [name for name in ranked if name != "none"]
        known = [made_of(names, start) for names in tried.values()]
        added = [name for name in others if made_of((best, name), start) not in known]
        both: dict[str, tuple[str, ...]] = {f"{best}+{name}": (best, name) for name in added[:NEXT]}
        found += trials(settings, data, both, start)
        ranked = ranking(settings, data, tried | both, start, profile.name)
        if not ranked:
            continue
        chosen = (tried | both)[ranked[0]]
        for learner in settings.learners:
            if learner not in points or not chosen:  # with no idea it is practice as the study of tuned runs has it
                continue
            for seed in settings.seeds:
                for size in settings.sizes[data]:
                    run = tuned.run_at(points[learner]["DP"][0], search, learner, "DP", size, seed)
                    config, variant = made_of(chosen, run)
                    found.append(_job(data, f"own-{size}-seed{seed}", config, variant, study=learner))
                    if size == search.size:
                        plain = replace(config, guidance=replace(config.guidance, omega=0.0))
                        found.append(_job(data, f"omega0-{size}-seed{seed}", plain, variant, study=learner))
    return found


def made_of(names: tuple[str, ...], config: PracticeConfig) -> tuple[PracticeConfig, Variant]:
    """Return a run with some ideas, one after the other."""
    variant = Variant()
    for name in names:
        config, variant = IDEAS[name].apply(config, variant)
    return config, variant


def trials(settings: Ideas, data: Data, tried: dict[str, tuple[str, ...]], start: PracticeConfig) -> list[Job]:
    """List the trials of some combinations."""
    return [
        _job(data, f"{name}-seed{seed}", *made_of(ideas, replace(start, seed=seed)), purpose="tuning")
        for name, ideas in tried.items()
        for seed in settings.trial_seeds
    ]


def _job(
    data: Data,
    name: str,
    config: PracticeConfig,
    variant: Variant,
    purpose: Literal["result", "tuning"] = "result",
    study: str = "",
) -> Job:
    folder = f"ideas-{data}-{study}" if study else f"ideas-{data}"
    if data == "fonts":
        return fonts_job(folder, name, config, purpose=purpose, variant=variant)
    more: Any = {"variant": variant.changes()} if variant != Variant() else {}
    return practice_job(folder, name, config, purpose=purpose, **more)


def ranking(
    settings: Ideas, data: Data, tried: dict[str, tuple[str, ...]], start: PracticeConfig, profile: str
) -> list[str]:
    """Return the combinations by mean validation accuracy, the best first; none before all trials are recorded."""
    recorded = load(profile, f"ideas-{data}")
    means = {}
    for name in tried:
        mine = trials(settings, data, {name: tried[name]}, start)
        if not all(state(profile, job) == "present" for job in mine):
            return []
        means[name] = float(np.mean([tuning.validation_accuracy(recorded[job.name]) for job in mine]))
    return sorted(means, key=lambda name: -means[name])


STUDY = Study("ideas", Ideas(), jobs)
