"""The default: real images (Fashion-MNIST), of a size for a laptop; its results are in the repository.

make figures                      # draws what is recorded
make reproduce                    # computes what is absent or stale, all studies
"""

from dataclasses import replace

from dp.config import PracticeConfig, plain
from dp.guidance.guidance import GuidanceConfig
from experiments.profiles import Profile
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
from experiments.studies.scaling import Preset, Scaling
from experiments.studies.second_set import SecondSet
from experiments.studies.selection import Selection
from experiments.studies.signals import Signals
from experiments.studies.static_settings import StaticSettings
from experiments.studies.theory import Theory
from experiments.studies.theory_practice import TheoryPractice
from experiments.studies.transfer import Transfer
from experiments.studies.tuned import Tuned
from experiments.studies.tuning import Tuning
from experiments.studies.validation_size import ValidationSize

SEEDS = (0, 1, 2, 3, 4)  # of headline comparisons
FEWER = (0, 1, 2)
LEARNERS = ("convnet", "vit")

# One guidance scale and one set of settings for every method: lambda_cfg = 2, as in the paper's table 1; guidance, as
# in the paper, with the gradient through the U-Net and the autoencoder.
STATIC = PracticeConfig(
    guidance_scale=3.0,
    guidance=GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet"),
    lr=2e-3,
    iterations=6000,
    validate_every=100,  # decides nothing where no images are added
    patience=2,
)
EQUAL = replace(STATIC, validate_every=50)  # often enough for patience to ask for most additions
STATIC_SIZES = (320, 1000, 2000, 4000, 8000, 16000, 32000)
SMALL, MIDDLE, LARGE = Preset(250, 50, 15, (500,)), Preset(1000, 200, 15, (2000,)), Preset(2000, 400, 15)
WITHOUT_BRANCH = replace(MIDDLE, branch_sizes=())
# The questions are asked of the smallest run, where practice gains most for the time it takes.
QUESTION = replace(SMALL, branch_sizes=()).apply(EQUAL)


def equal(learner: str) -> Scaling:
    """Every method with the same settings."""
    return Scaling(
        name=f"scaling-equal-{learner}",
        static=replace(STATIC, learner=learner),
        growing=replace(EQUAL, learner=learner),
        seeds=SEEDS,
        static_sizes=STATIC_SIZES,
        dp_presets=(SMALL, MIDDLE, LARGE),
        omega_zero_presets=(replace(SMALL, branch_sizes=()), WITHOUT_BRANCH),
    )


PROFILE = Profile(
    theory=Theory(),
    tuning=Tuning(
        base=replace(STATIC, seed=100), learners=LEARNERS, size=4000, random=6, neighbours=(2, 4), later=(2, 4, 5)
    ),
    scaling=tuple(equal(learner) for learner in LEARNERS),
    tuned=Tuned(SEEDS, STATIC_SIZES, dp_sizes=(1000, 2000, 4000, 8000, 16000), size=4000),
    comparison=tuple(
        Comparison(
            name=f"comparison-{learner}",
            prune=WITHOUT_BRANCH.apply(replace(plain(EQUAL), learner=learner, over_sampling=4.0)),
            real=replace(STATIC, learner=learner),
            real_sizes=(4000, 32000),
            seeds=SEEDS,
            reference_seeds=(50, 51, 52),
        )
        for learner in LEARNERS
    ),
    dynamics=Dynamics(
        base=replace(EQUAL, n_initial=1000, backstop=False), seeds=FEWER, few=(0, 1, 2), many=15, many_size=200
    ),
    selection=Selection(
        base=replace(STATIC, iterations=4000, n_initial=1000, n_per_round=1000),
        seeds=FEWER,
        ratios=(1.0, 2.0, 4.0, 8.0, 18.0),
        omegas=(0.03, 0.06, 0.1, 0.2, 0.4),
    ),
    ablation=Ablation(base=replace(QUESTION, incremental=True, patience=1), seeds=FEWER, fixed_patience=2),
    generators=Generators(
        static=STATIC,
        dp=EQUAL,
        preset=WITHOUT_BRANCH,
        scales=(1.25, 2.0, 3.0, 4.0),
        weaker_scale=1.5,
        seeds=FEWER,
    ),
    # 1%, 5%, 10% of the 5,000 there are; 1% and 5% of 55,000 training images (1% is as good as 500).
    validation_size=ValidationSize(base=QUESTION, seeds=FEWER, sizes=(50, 250, 500, 2750)),
    signals=Signals(base=QUESTION, seeds=FEWER),
    filtering=Filtering(base=QUESTION, seeds=FEWER, omegas=(0.2, 0.4, 0.6)),
    objectives=Objectives(base=QUESTION, seeds=FEWER),
    off_manifold=OffManifold(
        base=QUESTION,
        seeds=FEWER,
        windows=(((0.0, 1.0), (0.05, 0.1, 0.2, 0.4)), ((0.0, 0.4), (0.1, 0.2, 0.4, 0.8))),
        images=500,
    ),
    transfer=Transfer(base=QUESTION, seeds=FEWER, learners=LEARNERS),
    learners=Learners(
        base=QUESTION,
        seeds=FEWER,
        learners={"resnet": "test_resnet", "plain_vit": "test_vit?patch_size=7"},
    ),
    second_set=SecondSet(
        base=EQUAL,
        seeds=FEWER,
        static_sizes=(500, 1000, 4000, 16000),
        presets=(replace(SMALL, branch_sizes=()), WITHOUT_BRANCH),
        over_sampling=4.0,
    ),
    length=Length("convnet", iterations=16000, seeds=FEWER),
    static_settings=StaticSettings(scales=(1.0, 1.25), seeds=SEEDS),
    theory_practice=TheoryPractice(
        studies=("scaling-equal-convnet", "scaling-tuned-convnet", "scaling-equal-vit", "scaling-tuned-vit"),
        selection="scaling-equal-convnet",
    ),
    grids=Grids(
        run=WITHOUT_BRANCH.apply(EQUAL), omegas=(0.0, 0.05, 0.1, 0.2, 0.4), learners=5, seeds_per_class=2, images=2000
    ),
    live=Live(run=replace(EQUAL, n_initial=500, n_per_round=100, rounds=8, iterations=1500, validate_every=50)),
)
