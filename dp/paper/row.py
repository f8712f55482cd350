"""A row of the paper's tables as settings, and what the rows of all tables share (arXiv 2502.15588v1)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from dp.config import PracticeConfig
from dp.guidance.guidance import GuidanceConfig

Task = Literal["imagenet100", "imagenet1k"]
Method = Literal["real", "static", "DP", "prune"]

# Settings of every row that the paper does not state, and why they are what they are here.
NOT_STATED = {
    "weight_decay": "0.05, usual for a ViT",
    "validate_every": "tau is one pass over the initial pool: the printed branch-out epochs fit such passes (epoch "
    "1001 of 64,000 images in batches of 2,048 is iteration 31,281 of 50,000, in the stable phase)",
    "guidance.relative": "omega of 0.03 .. 0.07 moves the noise prediction by that fraction",
    "guidance.every": "every 5th step, at all noise levels, through U-Net and VAE: counted at 1.73 (one network pass "
    "differentiated) or 1.84 (both) times a plain image, beside the 1.82 of wall time that the paper measured",
    "inference_steps": "50 DDIM steps",
    "augment": "random resized crops of 224 pixels, mirrored at random, of images kept at 256; the paper states Mixup "
    "and CutMix only",
    "image_size": "what each generator was trained for: 512 pixels for 1.x, 768 for 2.1, 1,024 for XL",
}

GENERATORS = {  # Hugging Face Hub id and pixels, by the paper's names
    "LDM-1.4": ("CompVis/stable-diffusion-v1-4", 512),
    "LDM-1.5": ("stable-diffusion-v1-5/stable-diffusion-v1-5", 512),
    "LDM-2.1": ("stabilityai/stable-diffusion-2-1", 768),
    "LDM-XL": ("stabilityai/stable-diffusion-xl-base-1.0", 1024),
}
SIDE = 256  # pixels at which images are kept for a learner that sees crops of 224
PLAIN = GuidanceConfig(omega=0.0)

# Notes that several rows have.
REAL = (
    "the paper's reference: trained on the real training set, which is no held-out test then; the final size as "
    "printed is rounded"
)
BY_OTHERS = "published by others, not run; settings other than images and iterations are this paper's"
AS_SCALING = "N, P, k and patience not stated in the paper; taken from the row of the scaling table"


def guided(omega: float) -> GuidanceConfig:
    """The paper's guidance at that strength; see `NOT_STATED`."""
    return GuidanceConfig(omega, interval=(0.0, 1.0), every=5, gradient="unet") if omega else PLAIN


@dataclass(frozen=True)
class Published:
    """Published top-1 accuracies in percent, of the averaged weights; None = not reported.

    Attributes:
        real_val: on the real validation set, which also tells when training stops improving.
        real_train: on the real training set, which is held out.
        in_v2, in_sketch, in_r, in_a: on ImageNet-V2, -Sketch, -R and -A, under the headings as printed (table 5's
            Sketch and R look swapped).
    """

    real_val: float | None = None
    real_train: float | None = None
    in_v2: float | None = None
    in_sketch: float | None = None
    in_r: float | None = None
    in_a: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table, or one run of a figure.

    Attributes:
        table: 1 .. 5; None: a run of `figure`.
        name: tells the rows of a table or figure apart.
        task: "imagenet100" or "imagenet1k".
        method: "real" images, "static", "DP" or "prune" (generate, then prune).
        config: all settings there is a field for; iterations, N, P and k among them. batch_size is that of all GPUs.
        images: size of the final set as printed; N + kP of `config` where that is not what adds up is another one.
        published: accuracies.
        generator: Hugging Face Hub id; "" for real images.
        image_size: pixels of the generator's images.
        learner_size: pixels the learner sees.
        gpus: 4 nodes of 8 GPUs in the paper.
        branch_of: final size of the run this one is a branch of; None for a run of its own.
        branch_out_epoch: passes over the initial pool after which it stopped adding images; as printed.
        by_others: whether the row is prior work.
        note: what is not reproducible here, or had to be chosen for this row.
        figure: of a run that is in no table; published as a picture only.
    """

    table: int | None
    name: str
    task: Task
    method: Method
    config: PracticeConfig
    images: int
    published: Published = Published()
    generator: str = GENERATORS["LDM-1.5"][0]
    image_size: int = 512
    learner_size: int = 224
    gpus: int = 32
    branch_of: int | None = None
    branch_out_epoch: int | None = None
    by_others: bool = False
    note: str = ""
    figure: int | None = None

    @property
    def place(self) -> str:
        """Its place in the paper, such as "table 4" or "figure 5"."""
        return f"table {self.table}" if self.table is not None else f"figure {self.figure}"

    @property
    def final_size(self) -> int:
        """N + kP."""
        return self.config.final_size

    @property
    def branch_fraction(self) -> float:
        """The share of its iterations that a branch has in common with the run it left; 0 for a run of its own."""
        if self.branch_of is None or self.branch_out_epoch is None:
            return 0.0
        left_at = self.branch_out_epoch * self.config.n_initial / self.config.batch_size
        return min(1.0, left_at / self.config.iterations)


def key(row: Row) -> str:
    """A row's name among those of all tables, such as "4/static 130k" or "figure 5/prune x4 130k + 130k"."""
    return f"{row.place.removeprefix('table ')}/{row.name}"


def short(count: int) -> str:
    """1_300_000 -> 1.3M."""
    return f"{count / 1e6:.4g}M" if count >= 1_000_000 else f"{count / 1000:.4g}k"


def sized(
    settings: PracticeConfig, n: int, p: int = 0, k: int = 0, patience: int = 1, omega: float = 0.05
) -> PracticeConfig:
    """The settings with N initial images and k additions of P; without additions: static training.

    Args:
        settings: those that all rows of a profile share.
        n, p, k: images at the start, images of an addition, additions.
        patience: T_max at the initial pool.
        omega: of the additions.
    """
    return replace(
        settings,
        n_initial=n,
        n_per_round=p,
        rounds=k,
        patience=patience,
        incremental=k > 0,
        guidance=guided(omega if k else 0.0),
        validate_every=max(1, round(n / settings.batch_size)),
    )


# N, P, k, T_max at the initial pool, final size as printed, branch-out epoch, accuracies in percent on the real
# validation set, ImageNet-Sketch and ImageNet-R; P = 0: static.
Preset = tuple[int, int, int, int, int, int | None, float, float | None, float | None]


def scaling(table: int, task: Task, settings: PracticeConfig, presets: Iterable[Preset]) -> tuple[Row, ...]:
    """A scaling table. Rows of one N and P are one run, the one with most additions, and its branches."""
    presets = tuple(presets)
    rows = []
    for n, p, k, patience, printed, epoch, real_val, in_sketch, in_r in presets:
        family = sorted(other[2] for other in presets if p and other[:2] == (n, p))
        is_run = not p or k == family[-1]
        branches = tuple(n + p * other for other in family[:-1]) if is_run else ()
        note = ""
        if n + k * p != printed:
            note = f"as printed, N, P and k give {short(n + k * p)}, not the final size of {short(printed)}"
        rows.append(
            Row(
                table,
                f"DP {short(n)} + {k} x {short(p)}" if p else f"static {short(n)}",
                task,
                "DP" if p else "static",
                replace(sized(settings, n, p, k, patience), branch_sizes=branches),
                printed,
                Published(real_val, in_sketch=in_sketch, in_r=in_r),
                branch_of=None if is_run else n + p * family[-1],
                branch_out_epoch=epoch,
                note=note,
            )
        )
    return tuple(rows)
