"""Smoke: every study in a few minutes, to see that the whole chain works. Too short to compare anything.

make figures PROFILE=smoke
"""

from dataclasses import replace
from typing import Any

from dp.config import PracticeConfig, plain
from dp.guidance.guidance import GuidanceConfig
from experiments.engine.study import Profile
from experiments.studies import studies
from experiments.studies.live import LIVE
from experiments.studies.settings import Preset

# Guided the cheap way.
BASE = PracticeConfig(iterations=200, validate_every=20, patience=1, guidance=GuidanceConfig())
GROWING, BRANCHING = Preset(100, 100, 2), Preset(100, 100, 2, (200,))
SIZES = GROWING.apply(BASE)
SEEDS = (0, 1)
QUESTION = {"base": SIZES, "seeds": SEEDS}

# What differs from the studies' own settings, those of the cpu profile.
CHANGES: dict[str, dict[str, Any]] = {
    "theory": {"replicates": 4},
    "theory_features": {"sizes": (64, 256), "replicates": 2},
    "linear_practice": {"d": 20, "sizes": (40, 100, 200), "seeds": 2},
    "tuning": {"base": replace(BASE, iterations=100), "size": 200, "random": 1, "neighbours": (1,), "later": (1,)},
    "scaling": {
        "static": BASE,
        "growing": BASE,
        "seeds": SEEDS,
        "static_sizes": (50, 100, 200, 400),
        "dp_presets": (BRANCHING,),
        "omega_zero_presets": (GROWING,),
    },
    "tuned": {"seeds": SEEDS, "static_sizes": (100, 200, 400), "dp_sizes": (200, 300), "size": 200},
    "comparison": {
        "prune": replace(plain(SIZES), over_sampling=2.0),
        "real": BASE,
        "real_sizes": (),
        "seeds": SEEDS,
        "reference_seeds": (),
    },
    "dynamics": {
        "base": replace(BASE, n_initial=100, backstop=False),
        "seeds": SEEDS,
        "many": 3,
        "many_size": 40,
    },
    "selection": {
        "base": replace(BASE, n_initial=100, n_per_round=100),
        "seeds": SEEDS,
        "ratios": (1.0, 3.0),
        "omegas": (0.1, 0.3),
    },
    "ablation": QUESTION | {"base": replace(SIZES, incremental=True)},
    "generators": {"static": BASE, "dp": BASE, "preset": GROWING, "scales": (1.25, 3.0), "seeds": SEEDS},
    "validation_size": QUESTION | {"sizes": (50, 500)},
    "signals": QUESTION,
    "filtering": QUESTION | {"omegas": (0.1, 0.6)},
    "objectives": QUESTION,
    "off_manifold": QUESTION | {"windows": (((0.0, 1.0), (0.1, 0.6)), ((0.0, 0.4), (0.6,))), "images": 60},
    "transfer": QUESTION,
    "learners": QUESTION | {"learners": {"plain_vit": "test_vit?patch_size=14"}},
    "second_set": QUESTION | {"base": BASE, "static_sizes": (100, 300), "presets": (GROWING,), "over_sampling": 2.0},
    "length": {"iterations": 200, "seeds": SEEDS},
    "static_settings": {"seeds": SEEDS},
    "theory_practice": {
        "studies": ("scaling-equal-convnet",),
        "kept_fractions": (1.0, 0.3),
        "ceilings": (1.0, 0.8),
        "replicates": 2,
        "logistic": (),
    },
    "grids": {"run": SIZES, "omegas": (0.0, 0.3), "learners": 2, "seeds_per_class": 1, "images": 100},
    "fonts_tuning": {
        "base": replace(BASE, iterations=100),
        "learners": ("convnet",),
        "size": 200,
        "random": 1,
        "neighbours": (),
    },
    "fonts": {
        "learners": ("convnet",),
        "seeds": SEEDS,
        "static_sizes": (100, 200, 400),
        "sizes": (200, 300),
        "real_sizes": (200,),
        "glyph_sizes": (200,),
        "filtered_size": 200,
    },
    "fonts_gap": {"base": BASE, "seeds": SEEDS, "seen": (0,), "scales": (1.25,), "size": 200},
    "ideas": {
        "data": ("fonts",),
        "trial_seeds": (100,),
        "seeds": SEEDS,
        "sizes": {"fonts": (200,)},
        "learners": ("convnet",),
        "ideas": ("filter_round_trip", "views", "confusion"),
    },
    "live": {"run": replace(BASE, iterations=300, n_initial=200, n_per_round=100, rounds=2)},
}


def _changed(settings: Any, changes: dict[str, Any]) -> Any:
    """Return settings with changes; of a study that has settings per learner, those of each."""
    if isinstance(settings, tuple):
        return tuple(replace(each, **changes) for each in settings)
    return replace(settings, **changes)


PROFILE = Profile(
    "smoke",
    {name: _changed(study.settings, CHANGES.get(name, {})) for name, study in (studies() | {LIVE.name: LIVE}).items()},
)
