"""Tuning: the same search, with the same budget, for every method; on validation images only.

Question   What is each method at its own best? (both comparisons of the report need it)
Feeds      the settings of tuned runs (experiments/studies/tuned.py); the table of the search
Command    python -m experiments run tuning
Time       about four hours on 2 cores for the cpu profile
Expected   static training prefers a small guidance scale; a growing pool needs no other

Every method has its own space: the axes all share, and those it alone has. Trial 0 is a guess, the next ones are
drawn at random, without repetition; then, round by round, trials change one axis of the best point so far, each time
another one or the other way. A second learner starts where the first one's search has ended and looks around there. All
runs are to end with the same number of images (one whose iterations leave no room for all of its additions ends with
fewer). The held-out test images are not looked at. One run a trial: the best of a search is partly luck, so the studies
run the settings it ends with on seeds of their own.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dp.config import PracticeConfig, plain
from experiments.engine.practice_runs import practice_job
from experiments.engine.results import Job, load, state
from experiments.engine.study import Profile, Study
from experiments.studies.settings import LEARNERS, STATIC

Point = dict[str, Any]

SHARED: dict[str, tuple[Any, ...]] = {
    "guidance_scale": (1.0, 1.25, 1.5, 2.0),
    "lr": (1e-3, 2e-3, 4e-3, 8e-3),
    "length": (2 / 3, 1.0),  # of the base's iterations
}
GROWING: dict[str, tuple[Any, ...]] = {
    "initial": (1 / 8, 1 / 4, 1 / 2),  # of the final size
    "additions": (7, 15, 30),  # about: the nearest number that divides the rest
    "patience": (1, 2, 3),
}
# What a method can choose besides what all can.
METHODS: dict[str, dict[str, tuple[Any, ...]]] = {
    "static": {},
    "DP": GROWING
    | {
        "omega": (0.05, 0.1, 0.15, 0.2),
        "window": ((0.0, 0.4), (0.0, 1.0), (0.5, 1.0)),  # of noise levels: the late steps, all, the early ones
    },
    "prune": GROWING | {"over_sampling": (2.0, 4.0, 8.0)},
    "omega = 0": GROWING,
}
GUESS: Point = {
    "guidance_scale": 1.25,
    "lr": 2e-3,
    "length": 1.0,
    "initial": 1 / 4,
    "additions": 15,
    "patience": 2,
    "omega": 0.1,
    "window": (0.0, 1.0),
    "over_sampling": 4.0,
}


@dataclass(frozen=True)
class Tuning:
    """Settings of the study.

    Attributes:
        base: what no method chooses.
        learners: tuned one after the other.
        size: images at the end of a run.
        random: the first learner's trials from the whole space, the guess included.
        neighbours: of the first learner's search, trials beside the best point so far, round by round.
        later: the same of a later learner's search, which starts where the first one's has ended.
        study: name of the folder of results.
        shared, methods: axes of the spaces, by name their values in order: those that all methods have, and by method
            those of its own.
        guess: a value for every axis.
        job: makes a trial's job, as `practice_job` does.
    """

    base: PracticeConfig = replace(STATIC, seed=100)
    learners: tuple[str, ...] = LEARNERS
    size: int = 4000
    random: int = 6
    neighbours: tuple[int, ...] = (2, 4)
    later: tuple[int, ...] = (2, 4, 5)
    study: str = "tuning"
    shared: dict[str, tuple[Any, ...]] = field(default_factory=lambda: SHARED)
    methods: dict[str, dict[str, tuple[Any, ...]]] = field(default_factory=lambda: METHODS)
    guess: Point = field(default_factory=lambda: GUESS)
    job: Callable[..., Job] = practice_job


def jobs(settings: Tuning, profile: Profile) -> list[Job]:
    """List one result per trial; the methods in turn, so that a search that is not finished is as far for each.

    Trials that depend on what was found are listed once that is recorded.
    """
    return _search(settings, profile.name)[0]


def found(settings: Tuning, profile: str) -> dict[str, dict[str, list[Point]]]:
    """Return the points tried by learner and method, the best first; of learners whose searches are all finished."""
    ends = _search(settings, profile)[1]
    return {learner: ranked for learner, ranked in ends.items() if ranked.keys() == settings.methods.keys()}


def _search(settings: Tuning, profile: str) -> tuple[list[Job], dict[str, dict[str, list[Point]]]]:
    recorded = load(profile, settings.study)
    listed: list[Job] = []
    ends: dict[str, dict[str, list[Point]]] = {}
    for number, learner in enumerate(settings.learners):
        if number:
            tried = {method: points[:1] for method, points in ends[settings.learners[number - 1]].items()}
        else:
            tried = {method: draw(method, settings) for method in settings.methods}
        listed += _trials(settings, learner, tried, 0)
        for round_, count in enumerate(settings.later if number else settings.neighbours):
            centre = _ranked(settings, learner, tried, recorded, profile)
            order = [number, round_] if round_ else [number]
            new = {
                method: beside(points[0], method, tried[method], settings, count, order)
                for method, points in centre.items()
            }
            listed += _trials(settings, learner, new, max(map(len, tried.values()), default=0))
            tried = {method: tried[method] + new[method] for method in new}
        ends[learner] = _ranked(settings, learner, tried, recorded, profile)
    return listed, ends


def _trials(settings: Tuning, learner: str, points: dict[str, list[Point]], after: int) -> list[Job]:
    base = replace(settings.base, learner=learner)
    longest = max(map(len, points.values()), default=0)
    return [
        _job(settings, base, method, after + i, each[i])
        for i in range(longest)
        for method, each in points.items()
        if i < len(each)
    ]


def _ranked(
    settings: Tuning, learner: str, points: dict[str, list[Point]], recorded: dict[str, Any], profile: str
) -> dict[str, list[Point]]:
    """Return the points of each method whose trials are all recorded, the best first; of equals, the first tried."""
    found = {}
    base = replace(settings.base, learner=learner)
    for method, each in points.items():
        trials = [_job(settings, base, method, i, point) for i, point in enumerate(each)]
        if all(state(profile, job) == "present" for job in trials):
            accuracies = [validation_accuracy(recorded[job.name]) for job in trials]
            found[method] = [each[i] for i in sorted(range(len(each)), key=lambda i: -accuracies[i])]
    return found


def _job(settings: Tuning, base: PracticeConfig, method: str, trial: int, point: Point) -> Job:
    config = apply(base, method, point, settings.size)
    return settings.job(settings.study, trial_name(base.learner, method, trial), config, purpose="tuning")


def trial_name(learner: str, method: str, trial: int) -> str:
    """Return the name of a trial's result."""
    return f"{learner}-{method.replace(' = ', '')}-{trial:02d}"


def validation_accuracy(result: dict[str, Any]) -> float:
    """Return the validation accuracy of the finished run, percent."""
    return result["outcomes"][-1]["validation_accuracy"]


def draw(method: str, settings: Tuning) -> list[Point]:
    """Return the guess and other points of the method's space, `random` in all; the same for every learner."""
    return _all(method, settings)[: settings.random]


def _all(method: str, settings: Tuning) -> list[Point]:
    """Return the method's space: the guess, then the other points in random order."""
    space = settings.shared | settings.methods[method]
    guess = {axis: settings.guess[axis] for axis in space}
    points = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    points.remove(guess)
    rng = np.random.default_rng([settings.base.seed, list(settings.methods).index(method)])
    return [guess, *(points[i] for i in rng.permutation(len(points)))]


def beside(
    point: Point, method: str, tried: list[Point], settings: Tuning, count: int, order: Sequence[int] = (0,)
) -> list[Point]:
    """Return `count` points that differ from `point` by one step on one axis and have not been tried.

    If there are fewer, the rest is drawn at random: every method has the same budget.

    Args:
        point, method: where to look.
        tried: points to leave out.
        settings: of the search.
        count: of the points.
        order: whole numbers that tell rounds of searches apart; each has its own random order.
    """
    space = settings.shared | settings.methods[method]
    found = []
    for axis, values in space.items():
        at = values.index(point[axis])
        found += [point | {axis: values[i]} for i in (at - 1, at + 1) if 0 <= i < len(values)]
    new = [each for each in found if each not in tried]
    first, *rest = order
    rng = np.random.default_rng([settings.base.seed, list(settings.methods).index(method), 1 + first, *rest])
    chosen = [new[i] for i in rng.permutation(len(new))[:count]]
    others = (each for each in _all(method, settings) if each not in tried and each not in chosen)
    return [*chosen, *itertools.islice(others, count - len(chosen))]


def additions_of(images: int, about: int) -> int:
    """Return the number of additions nearest to `about` that divides the images to be added."""
    return min((k for k in range(1, images) if images % k == 0), key=lambda k: abs(k - about))


def apply(base: PracticeConfig, method: str, point: Point, size: int) -> PracticeConfig:
    """Return the run at a point of a method's space, ending with `size` images."""
    config = replace(
        plain(base),
        guidance_scale=point["guidance_scale"],
        lr=point["lr"],
        iterations=round(base.iterations * point["length"]),
    )
    if "omega" in point:
        gradient = point.get("gradient", base.guidance.gradient)
        guidance = replace(base.guidance, omega=point["omega"], interval=point["window"], gradient=gradient)
        config = replace(config, guidance=guidance)
    if method == "static":
        return replace(config, n_initial=size, rounds=0, n_per_round=0)
    n_initial = round(size * point["initial"])
    rest = size - n_initial
    rounds = additions_of(rest, point["additions"])
    return replace(
        config,
        n_initial=n_initial,
        rounds=rounds,
        n_per_round=rest // rounds,
        patience=point["patience"],
        over_sampling=point.get("over_sampling", 1.0),
    )


STUDY = Study("tuning", Tuning(), jobs)
