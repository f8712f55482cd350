"""Plan the paper's rows before anything is run: images, operations, GPU-hours and storage.

    python -m dp plan --profile imagenet100 --table 4 --gpu H100 --gpus 32
    python -m dp plan --profile imagenet100 --table 4 --commands      # what starts each row
    python -m dp plan --profile imagenet1k --json

Operations are counted on modules without weights (`costs`); hours follow from them, a GPU's published peak and the
share of it that is used. Not counted, together below a hundredth: text encoders, the optimiser, the averaged weights.
Nor, each below a hundredth too, checkpoints (training waits for half a percent of the time at most), the work after a
round (seconds for a million images) and its last batches, when some GPUs have none left to make (at most 2.4% of the
time of an addition): measured by benchmarks/scale.py, which also has a run of two processes as `work` counts it beside
the time that it takes. Not counted are the candidates that pruning keeps, which a run folder makes twice, and the time
that a GPU waits for images where it has too few cores: docs/cluster.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from dp.config import PracticeConfig
from dp.guidance.guidance import GuidanceConfig, guided_steps
from dp.paper.costs import Decoder, classifier, image_cost, parameters, parts_of, sd15_timesteps, training_step
from dp.paper.row import SIDE, Row, Task
from dp.paper.rows import FIGURES, HELD_OUT_IMAGES, ROWS, VALIDATION_IMAGES
from dp.pool.shards import image_bytes
from dp.practice.schedule import due
from dp.utils.errors import UserError
from dp.utils.validation import Count, checked

# Peak dense operations per second in bfloat16 (V100: float16), without sparsity; vendor data sheets.
Gpu = Literal["V100", "A100", "L40S", "H100", "H200"]
GPUS: dict[Gpu, float] = {"V100": 125e12, "A100": 312e12, "L40S": 362e12, "H100": 989e12, "H200": 989e12}
Utilisation = Annotated[float, Field(gt=0, le=1)]  # operations per second over the peak's
BYTES_PER_IMAGE = image_bytes((3, SIDE, SIDE), "JPEG")  # as a run of a row keeps it


@dataclass(frozen=True)
class Work:
    """Count what a run does.

    Attributes:
        plain_images, guided_images: images generated each way, without candidates for pruning.
        candidates: plain images generated to be pruned; kP of them are kept.
        iterations, validations: of the run, the final one on the validation set not among them.
        branch_iterations, branch_validations: of all its branches after they left, if every addition comes when it is
            due by the schedule; with patience they come earlier.
    """

    plain_images: int
    guided_images: int
    candidates: int
    iterations: int
    validations: int
    branch_iterations: int
    branch_validations: int


def work(config: PracticeConfig) -> Work:
    """Return what a run with generated images does."""
    added, pruned = config.rounds * config.n_per_round, config.over_sampling > 1
    guided = added if config.guidance.omega > 0 else 0
    every = config.validate_every
    # A run leaves a size behind with the next addition, which comes at a validation.
    left = (1 + (size - config.n_initial) // config.n_per_round for size in config.branch_sizes)
    alone = [config.iterations - math.ceil(due(config, number) / every) * every for number in left]
    return Work(
        plain_images=config.n_initial + (0 if pruned else added - guided),
        guided_images=guided,
        candidates=config.rounds * round(config.n_per_round * config.over_sampling) if pruned else 0,
        iterations=config.iterations,
        validations=-(-config.iterations // every),
        branch_iterations=sum(alone),
        branch_validations=sum(-(-each // every) for each in alone),
    )


@dataclass(frozen=True)
class Plan:
    """The costs of one row; operations count a multiplication and an addition as two.

    Attributes:
        place, name, method, published, by_others, note: the row's; published is accuracy on real validation images.
        images: final size of the set trained on, N + kP.
        plain_images, guided_images: images generated each way, without candidates for pruning.
        candidates: plain images generated to be pruned; kP of them are kept.
        plain_flop, guided_flop: operations of an image; None where there are none of its kind. With gradient "unet"
            every pass of classifier-free guidance is differentiated, as `dp.guidance.unet_gradient` does.
        guided_over_plain: their ratio.
        generation_flop: operations of all images, and of the learner judging guided ones and candidates.
        training_flop: forwards and backwards, batch_size times iterations.
        evaluation_flop: validations every validate_every iterations, and the final one on all held-out real images.
        storage_bytes: of the final set, of the learner kept at each addition and of the checkpoints.
        generation_gpu_hours, training_gpu_hours, gpu_hours: training with evaluation; the sum.
        wall_hours: gpu_hours over the GPUs.
    """

    place: str
    name: str
    method: str
    published: float | None
    by_others: bool
    note: str
    images: int
    plain_images: int
    guided_images: int
    candidates: int
    plain_flop: int | None
    guided_flop: int | None
    guided_over_plain: float | None
    generation_flop: int
    training_flop: int
    evaluation_flop: int
    storage_bytes: int
    generation_gpu_hours: float
    training_gpu_hours: float
    gpu_hours: float
    wall_hours: float


@checked
def plan(
    row: Row,
    gpu: Gpu = "H100",
    utilisation: Utilisation = 0.35,
    guidance: GuidanceConfig | None = None,
    decoder: Decoder | None = None,
    gpus: Count | None = None,
    bytes_per_image: Count = BYTES_PER_IMAGE,
) -> Plan:
    """The costs of a row, as a run of its own.

    Args:
        row: of `dp.paper.rows.ROWS`, or one with other settings.
        gpu: of `GPUS`.
        utilisation: operations per second over the peak's, in (0, 1].
        guidance: guides in this way instead of the row's; omega stays the row's.
        decoder: what guidance decodes with, instead of the row's.
        gpus: how many; by default the row's.
        bytes_per_image: of an image as it is kept.

    Raises:
        UserError: a setting is unknown or out of range.
    """
    gpus = row.gpus if gpus is None else gpus
    config = row.config
    ways = replace(guidance or config.guidance, omega=config.guidance.omega)
    images, done = config.final_size, work(config)
    plain_images = 0 if row.method == "real" else done.plain_images
    guided_images, candidates = done.guided_images, done.candidates

    forward = classifier(config.learner, row.learner_size).forward
    plain_flop = guided_flop = None
    generation = (guided_images + candidates) * forward
    if row.generator:
        parts = parts_of(row.generator, decoder or config.decoder, config.learner, row.image_size, row.learner_size)
        plain_flop = image_cost(parts, config.inference_steps)
        generation += (plain_images + candidates) * plain_flop
        if guided_images:
            steps = guided_steps(sd15_timesteps(config.inference_steps), ways)
            guided_flop = image_cost(parts, config.inference_steps, steps, ways.gradient)
            generation += guided_images * guided_flop
    training = config.iterations * config.batch_size * training_step(config.learner, row.learner_size)
    evaluation = ((done.validations + 1) * VALIDATION_IMAGES[row.task] + HELD_OUT_IMAGES[row.task]) * forward

    per_hour = GPUS[gpu] * utilisation * 3600
    return Plan(
        place=row.place,
        name=row.name,
        method=row.method,
        published=row.published.real_val,
        by_others=row.by_others,
        note=row.note,
        images=images,
        plain_images=plain_images,
        guided_images=guided_images,
        candidates=candidates,
        plain_flop=plain_flop,
        guided_flop=guided_flop,
        guided_over_plain=guided_flop / plain_flop if guided_flop and plain_flop else None,
        generation_flop=generation,
        training_flop=training,
        evaluation_flop=evaluation,
        storage_bytes=images * bytes_per_image + _kept_learners(config),
        generation_gpu_hours=generation / per_hour,
        training_gpu_hours=(training + evaluation) / per_hour,
        gpu_hours=(generation + training + evaluation) / per_hour,
        wall_hours=(generation + training + evaluation) / per_hour / gpus,
    )


def _kept_learners(config: PracticeConfig) -> int:
    """Bytes of weights and averaged weights at each addition, and in a checkpoint of the run and each branch of AdamW's
    two moments too."""
    return 4 * parameters(config.learner) * (2 * config.rounds + 4 * (1 + len(config.branch_sizes)))


@checked
def rows_of(profile: Task, table: int | None = None, figure: int | None = None) -> list[Row]:
    """The rows of a profile ("imagenet100" or "imagenet1k"), or of one table or figure of it.

    Raises:
        UserError: there is no such profile, or the table or figure has no rows of it.
    """
    if table is not None and figure is not None:
        raise UserError(f"table, figure: got {table} and {figure}, expected one of the two")
    mine = [row for row in ROWS if row.task == profile]
    if figure is not None:
        figures = FIGURES[mine[0].task]
        if figure not in figures:
            raise UserError(
                f"figure: got {figure}, but {profile} has runs of figures {', '.join(map(str, figures))}; the others "
                "are theory, or pictures of a run's images"
            )
        return list(figures[figure])
    tables = sorted({row.table for row in mine if row.table is not None})
    if table is not None and table not in tables:
        raise UserError(f"table: got {table}, but {profile} has rows in tables {', '.join(map(str, tables))}")
    return [row for row in mine if table is None or row.table == table]


def added_gpu_hours(row: Row, each: Plan) -> float:
    """Return what a row adds to the rows it comes with: a branch its training after it left, prior work nothing."""
    if row.by_others:
        return 0.0
    return each.training_gpu_hours * (1 - row.branch_fraction) if row.branch_of else each.gpu_hours


def totals(rows: Sequence[Row], plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """GPU-hours of each table and figure, without prior work.

    `gpu_hours` has every row as a run of its own; `gpu_hours_with_branches` runs the rows of one N and P as the paper
    did: the largest, from which the others branch out with its images and the learner trained so far.
    """
    found = []
    for place in dict.fromkeys(row.place for row in rows):
        mine = [(row, each) for row, each in zip(rows, plans, strict=True) if row.place == place and not row.by_others]
        found.append(
            {
                "place": place,
                "rows": len(mine),
                "gpu_hours": sum(each.gpu_hours for _, each in mine),
                "gpu_hours_with_branches": sum(added_gpu_hours(*pair) for pair in mine),
                "storage_bytes": sum(each.storage_bytes for row, each in mine if not row.branch_of),
            }
        )
    return found
