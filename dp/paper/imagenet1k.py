"""ImageNet-1k at the paper's scale: tables 1 (its lower part) and 5, figures 1 and 4.

    make table5 PROFILE=imagenet1k                       # commands, costs, published accuracies; starts nothing
    python -m dp plan --profile imagenet1k --commands    # of all rows

Hardware: 4 nodes of 8 GPUs, 128 images of a mini-batch on each; any number of GPUs that divides 32 will do.
GPU-hours are counted operations on H100 at 35% of their peak; A100 take about three times as many. Generator: Stable
Diffusion 1.5 at 512 pixels, where a row names no other. Learner: ViT-B/16 at 224 pixels, from scratch. What the paper
does not state is in `dp.paper.row.NOT_STATED`.

Images of the final set; GPU-hours, for a branch what it adds to its run; GB on disk; published accuracy on the real
validation set in percent.

    row                                        images  GPU-hours      GB  published
    1/Real 1.3M                                1.281M         70      50      82.60
    1/Static (Sariyildiz 2023) 1.3M              1.3M  by others       -      42.90
    1/Static (Fan 2024) 2M                         2M  by others       -      50.00
    1/Static (Fan 2024) 64M                       64M  by others       -      54.00
    1/DP 6.5M                                    6.5M        794     254      54.10
    1/DP 9.1M                                    9.1M      1,112     356      55.10
    5/DP 160k + 1 x 160k                         320k         68      14      42.57
    5/DP 320k + 1 x 160k                         480k         77      20      44.88
    5/DP 320k + 1 x 320k                         640k         97      26      47.91
    5/DP 654k + 1 x 654k                       1.308M         28  branch      50.23
    5/DP 654k + 2 x 654k                       1.962M         27  branch      50.67
    5/DP 1.3M + 10 x 650k                        7.8M        918     305      50.91
    5/DP 654k + 19 x 654k                      13.08M      1,601     515      51.20
    5/static 320k                                320k         58      14      39.33
    5/static 654k                                654k         79      26      42.51
    5/static 1.3M                                1.3M        121      51      44.12
    5/static 2.6M                                2.6M        208     100      45.01
    5/static 10M                                  10M        699     382      45.61
    5/static 13M                                  13M        899     496      45.63

Together, but for prior work: 6,857 GPU-hours.
"""

from dataclasses import replace
from functools import partial

from dp.config import PracticeConfig
from dp.paper.row import AS_SCALING, BY_OTHERS, REAL, Preset, Published, Row, Task, scaling, short, sized

TASK: Task = "imagenet1k"
VALIDATION_IMAGES = 50_000
HELD_OUT_IMAGES = 1_281_167  # the real training set

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
    iterations=100_000,
    batch_size=128 * 32,  # 128 on each of 4 nodes' 8 GPUs
    micro_batch=128,
    lr=0.0016,
    weight_decay=0.05,
    label_smoothing=0.11,
    ema_decay=0.999,  # 1 - momentum
    warmup=0.1,
    cooldown=0.2,
)
at_table1 = partial(sized, replace(SETTINGS, iterations=200_000, guidance_scale=3.0))  # lambda_cfg = 2


def _by_others(name: str, images: int, iterations: int, published: Published) -> Row:
    config = replace(at_table1(images), iterations=iterations)
    name = f"Static ({name}) {short(images)}"
    return Row(1, name, TASK, "static", config, images, published, by_others=True, note=BY_OTHERS)


# Accuracies: real validation, held-out real training set, ImageNet-V2, -Sketch, -R, -A.
TABLE_1 = (
    Row(
        1,
        "Real 1.3M",
        TASK,
        "real",
        at_table1(HELD_OUT_IMAGES),
        1_300_000,
        Published(82.6, None, 70.9, 32.5, 44.6, 29.4),
        generator="",
        note=REAL,
    ),
    _by_others("Sariyildiz 2023", 1_300_000, 130_000, Published(42.9, None, 43.0, 16.6, 26.3, 3.6)),
    _by_others("Fan 2024", 2_000_000, 210_000, Published(50.0, None, 42.2, 27.2, 45.7, 6.6)),
    _by_others("Fan 2024", 64_000_000, 315_000, Published(54.0, None, 46.0, 32.4, 52.5, 9.4)),
    Row(
        1,
        "DP 6.5M",
        TASK,
        "DP",
        at_table1(1_300_000, 650_000, 8),
        6_500_000,
        Published(54.1, 54.84, 48.5, 34.7, 56.0, 12.3),
        note=AS_SCALING,
    ),
    Row(
        1,
        "DP 9.1M",
        TASK,
        "DP",
        at_table1(1_300_000, 650_000, 12),
        9_100_000,
        Published(55.1, 55.73, 49.3, 36.0, 57.2, 13.4),
        note=AS_SCALING,
    ),
)

# N, P, k, T_max, final size as printed, branch-out epoch, real validation %, Sketch %, R %; DP at omega 0.05.
PRESETS_5: tuple[Preset, ...] = (
    (160_000, 160_000, 1, 1, 320_000, 134, 42.572, 39.363, 20.987),
    (320_000, 160_000, 1, 1, 480_000, 191, 44.880, 41.987, 23.095),
    (320_000, 320_000, 1, 1, 640_000, 71, 47.910, 46.887, 27.568),
    (654_000, 654_000, 1, 1, 1_308_000, 124, 50.226, 49.867, 29.843),
    (654_000, 654_000, 2, 1, 1_962_000, 156, 50.670, 51.027, 29.944),
    (1_300_000, 650_000, 10, 1, 7_800_000, 246, 50.908, 49.820, 31.217),
    (654_000, 654_000, 19, 1, 13_080_000, None, 51.198, None, 16.776),
    (320_000, 0, 0, 1, 320_000, None, 39.334, 32.653, 18.495),
    (654_000, 0, 0, 1, 654_000, None, 42.514, 33.883, 21.303),
    (1_300_000, 0, 0, 1, 1_300_000, None, 44.116, 37.337, 23.653),
    (2_600_000, 0, 0, 1, 2_600_000, None, 45.006, 38.667, 24.298),
    (10_000_000, 0, 0, 1, 10_000_000, None, 45.614, 40.050, 24.762),
    (13_000_000, 0, 0, 1, 13_000_000, None, 45.628, 40.357, None),
)
TABLE_5 = scaling(5, TASK, SETTINGS, PRESETS_5)

ROWS: tuple[Row, ...] = (*TABLE_1, *TABLE_5)

# What a figure is made of.
FIGURES: dict[int, tuple[Row, ...]] = {
    1: tuple(row for row in TABLE_5 if row.images in (1_300_000, 1_308_000, 13_000_000, 13_080_000)),
    4: TABLE_5,
}
