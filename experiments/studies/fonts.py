"""Fonts in, handwriting out: how do the methods compare where the generator has never seen the target?

Question   Static training, practice (DP), plain additions (omega = 0) and pruning, all with one set of settings and
           each at its own best, on handwriting, with images of a generator that knows printed digits alone; beside
           training on real handwriting and on the glyphs themselves. (Claims C1, C2, C5, C7, C12) And of practice
           with each filter: do filters help where outliers do harm?
Feeds      the figures "fonts" and "fonts_filters"
Command    python -m experiments run fonts
Time       about 19 core-hours, half of them once the search is finished
Expected   a gap that more images do not close; practice gains where guidance finds images that look like handwriting,
           and loses where it finds odd fonts

The targets are MNIST (2,500 test images) and, out of distribution, scikit-learn's digits. 1,000 validation images tell
plateaus; settings were chosen on them by experiments/studies/fonts_tuning.py; 1,500 more are the real training set. Of
every result the share of images that a classifier of real handwriting recognises is recorded too; nothing is chosen by
it.
"""

from dataclasses import dataclass, replace

from dp.config import plain
from experiments.data.digits import PATH
from experiments.data.fonts import GLYPHS
from experiments.engine.results import Job
from experiments.engine.study import Profile, Study
from experiments.studies import fonts_tuning, tuned, tuning
from experiments.studies.filtering import FILTERS
from experiments.studies.fonts_generator import weights_of
from experiments.studies.fonts_runs import Source, compute_pictures, job
from experiments.studies.settings import LEARNERS, SEEDS

METHODS = {"static": "static", "DP": "DP", "omega0": "omega = 0", "prune": "prune"}


@dataclass(frozen=True)
class Fonts:
    """Settings of the study; what else a run has is that of the search.

    Attributes:
        learners, seeds: of the runs.
        static_sizes: images of static runs.
        sizes: final images of runs of practice, of plain additions and of pruning.
        real_sizes: images of handwriting that the references are trained on.
        real_lrs: their learning rates beside that of equal settings: what real images do at their best is chosen among
            all by validation.
        glyph_sizes: printed digits, changed at random, that the other references are trained on.
        filtered_size: final images of practice with filters, of the first learner.
    """

    learners: tuple[str, ...] = LEARNERS
    seeds: tuple[int, ...] = SEEDS
    static_sizes: tuple[int, ...] = (320, 500, 1000, 2000, 4000, 8000, 16000)
    sizes: tuple[int, ...] = (320, 500, 1000, 2000, 4000)
    real_sizes: tuple[int, ...] = (1500,)
    real_lrs: tuple[float, ...] = (1e-3, 4e-3, 8e-3)
    glyph_sizes: tuple[int, ...] = (48000,)
    filtered_size: int = 2000


def jobs(settings: Fonts, profile: Profile) -> list[Job]:
    """List one result per run, learner by learner and seed by seed; the tuned ones once their search is finished."""
    search = profile.settings(fonts_tuning.STUDY)
    best = tuning.found(search, profile.name)
    equal = {method: fonts_tuning.as_in_the_paper(method) for method in METHODS.values()}
    found = [pictures(settings, search)]
    for learner in settings.learners:
        for seed in settings.seeds:
            found += references(settings, search, learner, seed)
            found += runs(settings, search, "equal", equal, learner, seed)
    for learner, ranked in best.items():
        points = {method: ranked[method][0] for method in METHODS.values()}
        for seed in settings.seeds:
            found += runs(settings, search, "tuned", points, learner, seed)
    first = settings.learners[0]
    practised = {"equal": equal["DP"]} | ({"tuned": best[first]["DP"][0]} if first in best else {})
    for seed in settings.seeds:
        for kind, point in practised.items():
            found += filtered(settings, search, kind, point, seed)
    return found


def pictures(settings: Fonts, search: tuning.Tuning) -> Job:
    """Return the job that makes the pictures; the learner of a small static run guides them."""
    point = fonts_tuning.as_in_the_paper("static") | {"guidance_scale": 1.25}
    run = tuned.run_at(point, search, settings.learners[0], "static", settings.static_sizes[1], settings.seeds[0])
    made = job("fonts-pictures", "pictures", run)
    return replace(made, compute=compute_pictures, depends=(*weights_of(0), PATH, GLYPHS))


def references(settings: Fonts, search: tuning.Tuning, learner: str, seed: int) -> list[Job]:
    """List training on real handwriting and on glyphs, as long as the longest of the other runs."""
    found = []
    sizes: dict[Source, tuple[int, ...]] = {"real": settings.real_sizes, "glyphs": settings.glyph_sizes}
    base = replace(plain(search.base), learner=learner, seed=seed, rounds=0, n_per_round=0)
    for source, each in sizes.items():
        for size in each:
            run = replace(base, n_initial=size)
            found.append(job(f"fonts-reference-{learner}", f"{source}-{size}-seed{seed}", run, source=source))
            for lr in settings.real_lrs if source == "real" else ():
                other = replace(run, lr=lr)
                name = f"{source}-{size}-lr{lr:g}-seed{seed}"
                found.append(job(f"fonts-reference-{learner}", name, other, source=source))
    return found


def runs(
    settings: Fonts, search: tuning.Tuning, kind: str, points: dict[str, tuning.Point], learner: str, seed: int
) -> list[Job]:
    """List the runs of all methods at all their sizes, each method at its point."""
    found = []
    for name, method in METHODS.items():
        for size in settings.static_sizes if method == "static" else settings.sizes:
            run = tuned.run_at(points[method], search, learner, method, size, seed)
            found.append(job(f"fonts-{kind}-{learner}", f"{name}-{size}-seed{seed}", run))
    return found


def filtered(settings: Fonts, search: tuning.Tuning, kind: str, point: tuning.Point, seed: int) -> list[Job]:
    """List the runs of practice with each filter, at practice's point; those without one are among the others."""
    run = tuned.run_at(point, search, settings.learners[0], "DP", settings.filtered_size, seed)
    return [
        job("fonts-filters", f"{kind}-{name}-seed{seed}", replace(run, filter=name))
        for name in FILTERS
        if name != "none"
    ]


STUDY = Study("fonts", Fonts(), jobs)
