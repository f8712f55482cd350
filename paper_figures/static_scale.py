"""Question: is static training held back by a guidance scale that was searched with fewer images?"""

from statistics import mean

from experiments.intervals import mean_interval
from experiments.results import load
from paper_figures.exhibit import Exhibit
from paper_figures.shared import LEARNERS, missing, results_of, seeds
from paper_figures.style import COLOURS
from paper_figures.variants import DRAWN, Variant, figure_of, gains, points, table

STUDIES = ("static_scale", "tuned")


def make(profile: str) -> Exhibit:
    """From the study of the scale and the tuned static runs of its size and seeds."""
    groups: dict[tuple[str, int, float], Variant] = {}
    for result in results_of(profile, "static_scale").values():
        config = result["config"]
        learner, scale = config["learner"], config["guidance_scale"]
        name = f"{LEARNERS[learner]}, guidance scale {scale:g}"
        group = groups.setdefault((learner, config["n_initial"], scale), Variant(name, COLOURS["static"], {}))
        group.runs[config["seed"]] = result
    shown: list[Variant] = []
    lines, said = [], []
    for learner, size in dict.fromkeys((learner, size) for learner, size, _ in groups):
        others = [each for of, each in groups.items() if of[:2] == (learner, size)]
        searched = _searched(profile, learner, size, others)
        lines += table([searched, *others], searched)
        said += [_said(each, searched) for each in others]
        shown += [searched, *others]
    size = max(size for _, size, _ in groups)
    kept = ("runs", "images", "test %", "difference", "95% interval", "seeds")
    return Exhibit(
        "static_scale",
        "Question: is static training held back by a guidance scale that was searched with fewer images?",
        f"{DRAWN} Static training with {size:,} images at the settings that the search found with fewer, and "
        f"with another guidance scale; differences are of runs with one seed, {seeds(len(e.runs) for e in shown)}.",
        points(shown),
        figure_of(shown),
        table=[{name: line[name] for name in kept} for line in lines],
        answer=f"change of test accuracy with {size:,} images, in points: {'; '.join(said)}.",
    )


def _searched(profile: str, learner: str, size: int, others: list[Variant]) -> Variant:
    """The tuned runs of the others' seeds.

    Raises:
        UserError: there are none.
    """
    tuned = load(profile, f"scaling-tuned-{learner}")
    runs = {seed: tuned.get(f"static-{size}-seed{seed}") for each in others for seed in each.runs}
    there = {seed: run for seed, run in runs.items() if run is not None}
    if not there:
        raise missing("tuned", profile, f"static runs of the {LEARNERS[learner]} with {size:,} images")
    scale = next(iter(there.values()))["config"]["guidance_scale"]
    return Variant(f"{LEARNERS[learner]}, guidance scale {scale:g}, searched", COLOURS["static"], there)


def _said(other: Variant, searched: Variant) -> str:
    differences = gains(other, searched)
    if len(differences) < 2:
        return f"{other.name}: open, it has no two seeds yet"
    low, high = mean_interval(differences)
    return f"{other.name} instead of the searched one {mean(differences):+.2f} (95% {low:+.2f} to {high:+.2f})"
