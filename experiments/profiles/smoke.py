"""Smoke: every study in a few minutes, to see that the whole chain works. Too short to compare anything.

make figures PROFILE=smoke        # about 3 minutes on 2 cores
"""

from dataclasses import replace

from dp.config import PracticeConfig
from experiments.dynamics import Dynamics
from experiments.live import Live
from experiments.profiles import Profile
from experiments.scaling import Preset, Scaling
from experiments.theory import Theory
from experiments.tuning import Tuning

BASE = PracticeConfig(iterations=300, validate_every=25, patience=1)

PROFILE = Profile(
    scaling=(
        Scaling(
            name="scaling",
            base=BASE,
            seeds=(0, 1),
            static_sizes=(200, 400, 800),
            presets=(Preset(100, 100, 3, (200,)),),
            plain_presets=(Preset(100, 100, 3),),
            real_sizes=(),
        ),
        Scaling(
            name="scaling-low",
            base=replace(BASE, guidance_scale=1.5),
            seeds=(0, 1),
            static_sizes=(200, 400),
            presets=(Preset(100, 100, 3),),
            plain_presets=(),
            real_sizes=(),
        ),
    ),
    dynamics=Dynamics(base=replace(BASE, n_initial=200, n_per_round=200), seeds=(0, 1)),
    theory=Theory(replicates=4),
    tuning=Tuning(base=BASE, learners=("convnet",), size=400, trials=1),
    live=Live(run=replace(BASE, n_initial=200, n_per_round=100, rounds=2)),
)
