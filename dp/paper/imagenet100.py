"""ImageNet-100 at the paper's scale: tables 1 (its upper part), 2, 3, 4 and figures 2, 4, 5, 9.

    make table4 PROFILE=imagenet100                      # commands, costs, published accuracies; starts nothing
    python -m dp plan --profile imagenet100 --commands   # of all rows

Hardware: 4 nodes of 8 GPUs, 64 images of a mini-batch on each; any number of GPUs that divides 32 will do.
GPU-hours are counted operations on H100 at 35% of their peak; A100 take about three times as many. Generator: Stable
Diffusion 1.5 at 512 pixels, where a row names no other. Learner: ViT-B/16 at 224 pixels, from scratch. What the paper
does not state is in `dp.paper.row.NOT_STATED`.

Images of the final set; GPU-hours, for a branch what it adds to its run; GB on disk; published accuracy on the real
validation set in percent.

    row                                        images  GPU-hours      GB  published
    1/Real 130k                                126.7k         18       6      88.50
    1/Static (Sariyildiz 2023) 130k              130k  by others       -      63.50
    1/Static (Sariyildiz 2023) 6.5M              6.5M  by others       -      73.30
    1/DP 1.9M                                  1.858M        238      91      74.30
    2/LDM-1.4 130k                               130k         17       6      59.06
    2/LDM-1.5 130k                               130k         17       6      59.24
    2/LDM-2.1 130k                               130k         32       6      55.92
    2/LDM-XL 130k                                130k         80       6      52.80
    3/omega 0.05, incremental, uniform           640k         84      38      68.04
    3/omega 0, incremental, uniform              640k         51      38      61.58
    3/omega 0.03, incremental, uniform           640k         84      38      66.70
    3/omega 0.07, incremental, uniform           640k         84      38      66.88
    3/omega 0.05, fixed, uniform                 640k         84      38      67.22
    3/omega 0.05, incremental, non-uniform       640k         84      38      68.01
    4/DP 32k + 3 x 16k                            80k          7  branch      59.48
    4/DP 32k + 4 x 16k                            96k          7  branch      60.54
    4/DP 32k + 5 x 16k                           112k          7  branch      61.80
    4/DP 32k + 6 x 16k                           128k          7  branch      62.68
    4/DP 32k + 8 x 16k                           160k         27      19      64.40
    4/DP 64k + 6 x 32k                           256k          6  branch      65.52
    4/DP 64k + 8 x 32k                           320k          6  branch      66.28
    4/DP 64k + 11 x 32k                          416k          5  branch      66.92
    4/DP 64k + 18 x 32k                          640k         84      42      67.80
    4/DP 130k + 6 x 130k                         910k        113      40      68.28
    4/DP 130k + 27 x 64k                       1.858M          3  branch      68.46
    4/DP 130k + 47 x 64k                       3.138M        386     155      68.88
    4/static 64k                                  64k         13       4      56.56
    4/static 130k                                130k         17       6      59.44
    4/static 260k                                260k         26      11      60.02
    4/static 400k                                400k         35      17      61.92
    4/static 2M                                    2M        142      77      62.16
    4/static 4M                                    4M        275     154      62.32
    figure 5/prune x1 130k + 130k                260k         26      12    picture
    figure 5/prune x2 130k + 130k                260k         35      12    picture
    figure 5/prune x4 130k + 130k                260k         52      12    picture
    figure 5/prune x9 130k + 130k                260k         95      12    picture
    figure 5/prune x18 130k + 130k               260k        173      12    picture
    figure 5/DP 130k + 130k, omega 0.03          260k         33      12    picture
    figure 5/DP 130k + 130k, omega 0.05          260k         33      12    picture
    figure 5/DP 130k + 130k, omega 0.07          260k         33      12    picture
    figure 2/DP 130k + 2 x 130k                  390k         49      18    picture

Together, but for prior work: 2,567 GPU-hours.
"""

from dataclasses import replace
from functools import partial

from dp.config import PracticeConfig
from dp.paper.row import (
    AS_SCALING,
    BY_OTHERS,
    GENERATORS,
    REAL,
    Method,
    Preset,
    Published,
    Row,
    Task,
    scaling,
    short,
    sized,
)

TASK: Task = "imagenet100"
VALIDATION_IMAGES = 5_000
HELD_OUT_IMAGES = 126_689  # the real training set

# What all rows share; those of table 1 say otherwise where they do. Sizes, patience and omega are a row's own.
SETTINGS = PracticeConfig(
    guidance_scale=4.0,  # lambda_cfg = 3
    inference_steps=50,
    decoder="vae",
    signal="real",
    backstop=False,  # in the paper only patience adds images
    learner="vit_base_patch16_224",  # from scratch
    crop=224,
    augment="resized_crop",
    mixup=0.5,
    cutmix=1.0,
    iterations=50_000,
    batch_size=64 * 32,  # 64 on each of 4 nodes' 8 GPUs
    micro_batch=64,
    lr=0.003,
    weight_decay=0.05,
    label_smoothing=0.11,
    ema_decay=0.999,  # 1 - momentum
    warmup=0.1,
    cooldown=0.2,
)
run = partial(sized, SETTINGS)
at_table1 = partial(sized, replace(SETTINGS, iterations=100_000, guidance_scale=3.0))  # lambda_cfg = 2


def _by_others(images: int, iterations: int, published: Published) -> Row:
    config = replace(at_table1(images), iterations=iterations)
    name = f"Static (Sariyildiz 2023) {short(images)}"
    return Row(1, name, TASK, "static", config, images, published, by_others=True, note=BY_OTHERS)


# Accuracies: real validation, held-out real training set, ImageNet-V2, -Sketch, -R, -A.
TABLE_1 = (
    Row(
        1,
        "Real 130k",
        TASK,
        "real",
        at_table1(HELD_OUT_IMAGES),
        130_000,
        Published(88.5, None, 76.4, 37.1, 60.8, 33.5),
        generator="",
        note=REAL,
    ),
    _by_others(130_000, 13_000, Published(63.5, None, 62.7, 41.8, 64.2, 13.7)),
    _by_others(6_500_000, 635_000, Published(73.3, None, 72.3, 42.0, 59.4, 17.1)),
    Row(  # 130k + 27 x 64k = 1.858M, printed as 1.9M
        1,
        "DP 1.9M",
        TASK,
        "DP",
        at_table1(130_000, 64_000, 27, patience=5),
        1_900_000,
        Published(74.3, 75.0, 66.3, 52.0, 76.6, 25.9),
        note=AS_SCALING,
    ),
)

TABLE_2 = tuple(  # the choice of the generator
    Row(
        2,
        f"{name} 130k",
        TASK,
        "static",
        run(130_000),
        130_000,
        Published(real_val),
        *GENERATORS[name],
        note="guidance scale not stated in the paper; that of the scaling tables",
    )
    for name, real_val in (("LDM-1.4", 59.06), ("LDM-1.5", 59.24), ("LDM-2.1", 55.92), ("LDM-XL", 52.8))
)


def _ablation(
    omega: float, patience: str, sampling: str, real_val: float, real_train: float, newest_weight: float = 1.0
) -> Row:
    config = run(64_000, 32_000, 18, patience=4, omega=omega)
    config = replace(config, incremental=patience == "incremental", newest_weight=newest_weight)
    name = f"omega {omega:g}, {patience}, {sampling}"
    note = "N, P, k and initial patience not stated in the paper; table 4's 640k's, whose accuracy is the nearest"
    return Row(3, name, TASK, "DP", config, 640_000, Published(real_val, real_train), note=note)


TABLE_3 = (  # the ablation, one final size for all
    _ablation(0.05, "incremental", "uniform", 68.04, 69.25),
    _ablation(0.0, "incremental", "uniform", 61.58, 63.09),
    _ablation(0.03, "incremental", "uniform", 66.7, 68.0),
    _ablation(0.07, "incremental", "uniform", 66.88, 68.66),
    _ablation(0.05, "fixed", "uniform", 67.22, 70.38),
    _ablation(0.05, "incremental", "non-uniform", 68.01, 69.11, newest_weight=2.0),  # new images drawn twice as often
)

# N, P, k, T_max, final size as printed, branch-out epoch, real validation %, Sketch %, R %; DP at omega 0.05.
PRESETS_4: tuple[Preset, ...] = (
    (32_000, 16_000, 3, 6, 80_000, 662, 59.48, 31.49, 58.92),
    (32_000, 16_000, 4, 6, 96_000, 701, 60.54, 33.69, 59.97),
    (32_000, 16_000, 5, 6, 112_000, 767, 61.80, 35.03, 61.24),
    (32_000, 16_000, 6, 6, 128_000, 859, 62.68, 35.95, 62.55),
    (32_000, 16_000, 8, 6, 160_000, 951, 64.40, 38.08, 63.87),
    (64_000, 32_000, 6, 4, 256_000, 469, 65.52, 43.42, 67.32),
    (64_000, 32_000, 8, 4, 320_000, 606, 66.28, 44.33, 67.94),
    (64_000, 32_000, 11, 4, 416_000, 782, 66.92, 44.99, 68.81),
    (64_000, 32_000, 18, 4, 640_000, 1001, 67.80, 45.25, 68.46),
    (130_000, 130_000, 6, 14, 910_000, None, 68.28, 45.06, 70.87),
    (130_000, 64_000, 27, 5, 1_794_000, 494, 68.46, 46.33, 71.04),
    (130_000, 64_000, 47, 5, 3_138_000, 618, 68.88, 45.76, 71.26),
    (64_000, 0, 0, 1, 64_000, None, 56.56, 27.86, 52.97),
    (130_000, 0, 0, 1, 130_000, None, 59.44, 33.32, 55.95),
    (260_000, 0, 0, 1, 260_000, None, 60.02, 33.79, 56.74),
    (400_000, 0, 0, 1, 400_000, None, 61.92, 36.03, 59.75),
    (2_000_000, 0, 0, 1, 2_000_000, None, 62.16, 34.97, 60.15),
    (4_000_000, 0, 0, 1, 4_000_000, None, 62.32, 36.43, 60.89),
)
TABLE_4 = scaling(4, TASK, SETTINGS, PRESETS_4)


def _additions(figure: int, name: str, method: Method, k: int, omega: float, note: str, ratio: float = 1.0) -> Row:
    """130k images and k additions of as many; patience is that of table 4's row of these N and P."""
    config = replace(run(130_000, 130_000, k, patience=14, omega=omega), over_sampling=ratio)
    note = f"accuracy published as a picture only; {note}"
    return Row(None, name, TASK, method, config, 130_000 * (1 + k), note=note, figure=figure)


AT_17K = "the addition came at iteration 17,000, here it comes by patience, that of table 4's N = P = 130k"
FIGURE_5 = (  # one addition: the hardest of a larger pool (a), or guided images (b)
    *(
        _additions(5, f"prune x{ratio:g} 130k + 130k", "prune", 1, 0.0, f"{AT_17K}; of 1 .. 18 these are chosen", ratio)
        for ratio in (1.0, 2.0, 4.0, 9.0, 18.0)
    ),
    *(
        _additions(5, f"DP 130k + 130k, omega {omega:g}", "DP", 1, omega, f"{AT_17K}; the omegas are table 3's")
        for omega in (0.03, 0.05, 0.07)
    ),
)
FIGURE_2 = (  # without additions 4/static 130k, with one figure 5's DP 130k + 130k
    _additions(2, "DP 130k + 2 x 130k", "DP", 2, 0.05, "patience not stated, that of table 4's N = P = 130k"),
)

ROWS: tuple[Row, ...] = (*TABLE_1, *TABLE_2, *TABLE_3, *TABLE_4, *FIGURE_5, *FIGURE_2)

# What a figure is made of.
NAMED = {row.name: row for row in ROWS}
STATIC = tuple(row for row in TABLE_4 if row.method == "static")
FIGURES: dict[int, tuple[Row, ...]] = {
    2: (NAMED["static 130k"], NAMED["DP 130k + 130k, omega 0.05"], *FIGURE_2),
    4: TABLE_4,
    5: FIGURE_5,
    9: (NAMED["omega 0, incremental, uniform"], *STATIC),  # plain images added dynamically, beside static sets
}
