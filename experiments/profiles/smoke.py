"""Smoke: every study in a few minutes, to see that the whole chain works. Too short to compare anything.

make figures PROFILE=smoke
"""

from dataclasses import replace

from dp.config import PracticeConfig, plain
from dp.guidance.guidance import GuidanceConfig
from experiments.engine.study import Profile
from experiments.studies.ablation import Ablation
from experiments.studies.comparison import Comparison
from experiments.studies.dynamics import Dynamics
from experiments.studies.filtering import Filtering
from experiments.studies.generators import Generators
from experiments.studies.image_grids import Grids
from experiments.studies.learners import Learners
from experiments.studies.length import Length
from experiments.studies.live import Live
from experiments.studies.objectives import Objectives
from experiments.studies.off_manifold import OffManifold
from experiments.studies.scaling import Scaling
from experiments.studies.second_set import SecondSet
from experiments.studies.selection import Selection
from experiments.studies.settings import LEARNERS, Preset
from experiments.studies.signals import Signals
from experiments.studies.static_settings import StaticSettings
from experiments.studies.theory import Theory
from experiments.studies.theory_practice import TheoryPractice
from experiments.studies.transfer import Transfer
from experiments.studies.tuned import Tuned
from experiments.studies.tuning import Tuning
from experiments.studies.validation_size import ValidationSize

# Guided the cheap way.
BASE = PracticeConfig(iterations=200, validate_every=20, patience=1, guidance=GuidanceConfig())
GROWING, BRANCHING = Preset(100, 100, 2), Preset(100, 100, 2, (200,))
SEEDS = (0, 1)
SIZES = GROWING.apply(BASE)


PROFILE = Profile(
    "smoke",
    {
        "theory": Theory(replicates=4),
        "tuning": Tuning(replace(BASE, iterations=100), size=200, random=1, neighbours=(1,), later=(1,)),
        "scaling": tuple(
            Scaling(learner, BASE, BASE, SEEDS, (50, 100, 200, 400), (BRANCHING,), (GROWING,)) for learner in LEARNERS
        ),
        "tuned": Tuned(SEEDS, (100, 200, 400), dp_sizes=(200, 300), size=200),
        "comparison": tuple(
            Comparison(learner, replace(plain(SIZES), over_sampling=2.0), BASE, (), SEEDS, ()) for learner in LEARNERS
        ),
        "dynamics": Dynamics(replace(BASE, n_initial=100, backstop=False), SEEDS, many=3, many_size=40),
        "selection": Selection(
            replace(BASE, n_initial=100, n_per_round=100), SEEDS, ratios=(1.0, 3.0), omegas=(0.1, 0.3)
        ),
        "ablation": Ablation(replace(SIZES, incremental=True), SEEDS),
        "generators": Generators(BASE, BASE, GROWING, scales=(1.25, 3.0), seeds=SEEDS),
        "validation_size": ValidationSize(SIZES, SEEDS, sizes=(50, 500)),
        "signals": Signals(SIZES, SEEDS),
        "filtering": Filtering(SIZES, SEEDS, omegas=(0.1, 0.6)),
        "objectives": Objectives(SIZES, SEEDS),
        "off_manifold": OffManifold(SIZES, SEEDS, windows=(((0.0, 1.0), (0.1, 0.6)), ((0.0, 0.4), (0.6,))), images=60),
        "transfer": Transfer(SIZES, SEEDS),
        "learners": Learners(SIZES, SEEDS, {"plain_vit": "test_vit?patch_size=14"}),
        "second_set": SecondSet(BASE, SEEDS, static_sizes=(100, 300), presets=(GROWING,), over_sampling=2.0),
        "length": Length(iterations=200, seeds=SEEDS),
        "static_settings": StaticSettings(seeds=SEEDS),
        "theory_practice": TheoryPractice(
            ("scaling-equal-convnet",), kept_fractions=(1.0, 0.3), ceilings=(1.0, 0.8), replicates=2
        ),
        "grids": Grids(SIZES, omegas=(0.0, 0.3), learners=2, seeds_per_class=1, images=100),
        "live": Live(replace(BASE, iterations=300, n_initial=200, n_per_round=100, rounds=2)),
    },
)
