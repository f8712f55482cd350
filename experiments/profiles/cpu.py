"""The default: real images (Fashion-MNIST), measured on a laptop; its results are in the repository.

make figures                      # uses the recorded results, computes what is absent or stale
python -m experiments run         # the same without the figures
"""

from dataclasses import replace

from dp.config import PracticeConfig
from experiments.dynamics import Dynamics
from experiments.live import Live
from experiments.profiles import Profile
from experiments.scaling import Preset, Scaling
from experiments.theory import Theory
from experiments.tuning import Tuning

BASE = PracticeConfig()  # guidance scale 3 is lambda_cfg = 2 of the paper's table 1
SEEDS = (0, 1, 2)

PROFILE = Profile(
    scaling=(
        Scaling(
            name="scaling",
            base=BASE,
            seeds=SEEDS,
            static_sizes=(1000, 2000, 4000, 8000, 16000),
            presets=(Preset(250, 50, 15), Preset(500, 100, 15, (1000,)), Preset(1000, 200, 15, (2000,))),
            plain_presets=(Preset(500, 100, 15),),
            real_sizes=(16000,),
        ),
        Scaling(
            name="scaling-low",
            base=replace(BASE, guidance_scale=1.5),
            seeds=SEEDS,
            static_sizes=(2000, 16000),
            presets=(Preset(500, 100, 15), Preset(1000, 200, 15)),
            plain_presets=(),
            real_sizes=(),
        ),
    ),
    dynamics=Dynamics(base=replace(BASE, n_initial=1000, n_per_round=1000, patience=4, backstop=False), seeds=SEEDS),
    theory=Theory(),
    tuning=Tuning(base=replace(BASE, seed=100), learners=("convnet", "vit"), size=4000, trials=16),
    live=Live(run=replace(BASE, n_initial=500, n_per_round=100, rounds=8, iterations=1500)),
)
