"""What the paper's rows cost, before anything is run: images, operations, GPU-hours and storage.

    python -m dp plan --profile imagenet100 --table 4 --gpu H100 --gpus 32
    python -m dp plan --profile imagenet100 --table 4 --commands      # what starts each row
    python -m dp plan --profile imagenet1k --json
    python -m dp plan --profile imagenet100 --plot costs.png

Operations are counted on modules without weights (`dp.costs`); hours follow from them, a GPU's published peak and the
share of it that is used. Not counted, together below a hundredth: text encoders, the optimiser, the averaged weights,
the data loader.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from json import dumps
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from dp.commands import listing
from dp.config import PracticeConfig
from dp.costs import (
    classifier,
    cost_ratio,
    guided_steps,
    image_cost,
    parameters,
    parts_of,
    sd15_parts,
    sd15_timesteps,
    training_step,
)
from dp.disk import image_bytes
from dp.errors import UserError
from dp.guidance import Gradient, GuidanceConfig
from dp.paper_rows import FIGURES, HELD_OUT_IMAGES, NOT_STATED, ROWS, SIDE, VALIDATION_IMAGES, Row, Task, short

Decoder = Literal["vae", "tiny", "linear"]

# Peak dense operations per second in bfloat16 (V100: float16), without sparsity; vendor data sheets.
GPUS = {"V100": 125e12, "A100": 312e12, "L40S": 362e12, "H100": 989e12, "H200": 989e12}
BYTES_PER_IMAGE = image_bytes((3, SIDE, SIDE), "JPEG")  # as a run of a row keeps it
SD15_STEPS = 50
# As the paper reports them: a guided image over a plain one in wall time, and pruning over guidance at equal accuracy.
PUBLISHED_GUIDED_OVER_PLAIN = 1.82
PUBLISHED_PRUNE_OVER_DP = 5.0
# The over-sampling at which pruning reaches DP's accuracy, as these two have it.
EQUAL_OVER_SAMPLING = PUBLISHED_PRUNE_OVER_DP * PUBLISHED_GUIDED_OVER_PLAIN


@dataclass(frozen=True)
class Plan:
    """The costs of one row; operations count a multiplication and an addition as two.

    Attributes:
        place, name, method, published, by_others, note: the row's; published is accuracy on real validation images.
        images: final size of the set trained on, N + kP.
        plain_images, guided_images: images generated each way, without candidates for pruning.
        candidates: plain images generated to be pruned; kP of them are kept.
        plain_flop, guided_flop: operations of an image; None where there are none of its kind. With gradient "unet"
            every pass of classifier-free guidance is differentiated, as `dp.exact` does.
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


def plan(
    row: Row,
    gpu: str = "H100",
    utilisation: float = 0.35,
    guidance: GuidanceConfig | None = None,
    decoder: Decoder | None = None,
    gpus: int | None = None,
    bytes_per_image: int = BYTES_PER_IMAGE,
) -> Plan:
    """The costs of a row, as a run of its own.

    Args:
        row: of `dp.paper_rows.ROWS`, or one with other settings.
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
    _check(gpu, utilisation, gpus, bytes_per_image)
    config = row.config
    ways = replace(guidance or config.guidance, omega=config.guidance.omega)
    added = config.rounds * config.n_per_round
    images = config.n_initial + added
    pruned = config.over_sampling > 1
    guided_images = added if ways.omega > 0 else 0
    candidates = config.rounds * round(config.n_per_round * config.over_sampling) if pruned else 0
    plain_images = 0 if row.method == "real" else config.n_initial + (0 if pruned else added - guided_images)

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
    validations = -(-config.iterations // config.validate_every)
    evaluation = ((validations + 1) * VALIDATION_IMAGES[row.task] + HELD_OUT_IMAGES[row.task]) * forward

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


def _check(gpu: str, utilisation: float, gpus: int, bytes_per_image: int) -> None:
    if gpu not in GPUS:
        raise UserError(f'gpu: got "{gpu}", expected one of {", ".join(GPUS)}')
    if not (isfinite(utilisation) and 0 < utilisation <= 1):
        raise UserError(f"utilisation: got {utilisation}, expected a share of the peak above 0 and at most 1")
    if gpus < 1:
        raise UserError(f"gpus: got {gpus}, expected 1 or more")
    if bytes_per_image < 1:
        raise UserError(f"bytes_per_image: got {bytes_per_image}, expected 1 or more")


def rows_of(profile: str, table: int | None = None, figure: int | None = None) -> list[Row]:
    """The rows of a profile ("imagenet100" or "imagenet1k"), or of one table or figure of it.

    Raises:
        UserError: there is no such profile, or the table or figure has no rows of it.
    """
    if profile not in get_args(Task):
        raise UserError(f'profile: got "{profile}", expected one of {", ".join(get_args(Task))}')
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
    """What a row adds to the rows it comes with: a branch the training after it left its run, prior work nothing."""
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


def guidance_costs() -> list[dict[str, Any]]:
    """What each way of guiding costs: Stable Diffusion 1.5, 512 pixels, 50 DDIM steps, guided by a ViT-B/16.

    Every gradient, decoder and `every` over all noise levels, then late windows. `cost_ratio` is a guided image's
    operations over a plain one's, both with classifier-free guidance, where gradient "unet" differentiates through one
    network pass a guided step, the conditional one. `cost_ratio_both_passes` differentiates through both, which the
    gradient of x0_hat after classifier-free guidance takes and `dp.exact` does. For gradient "x0" they are the same.
    """
    whole: tuple[float, float] = (0.0, 1.0)
    ways: list[tuple[Gradient, Decoder, int, tuple[float, float]]] = [
        (gradient, decoder, every, whole)
        for gradient in get_args(Gradient)
        for decoder in get_args(Decoder)
        for every in (1, 2, 5)
    ]
    ways += [("x0", decoder, every, (0.0, 0.4)) for decoder in get_args(Decoder) for every in (1, 2)]
    ways += [("x0", "tiny", 1, (0.0, 0.2)), ("unet", "vae", 1, (0.0, 0.4))]
    costs = []
    for gradient, decoder, every, interval in ways:
        config = GuidanceConfig(interval=interval, every=every, gradient=gradient)
        parts, timesteps = sd15_parts(decoder), sd15_timesteps(SD15_STEPS)
        costs.append(
            {
                "gradient": gradient,
                "decoder": decoder,
                "every": every,
                "interval": list(interval),
                "cost_ratio": cost_ratio(parts, timesteps, config, differentiated=1),
                "cost_ratio_both_passes": cost_ratio(parts, timesteps, config),
            }
        )
    return costs


@dataclass(frozen=True)
class Case:
    """Two rows of a scaling table that reach the same accuracy."""

    claim: str
    static_images: int  # has the published accuracy of the smallest static row of no fewer images
    dp_images: int


CASES: dict[Task, tuple[Case, ...]] = {
    "imagenet100": (
        Case("7.5x less data (text: 400k images reach static's 3M)", 3_000_000, 416_000),
        Case("by table 4: the smallest DP row above the best static row", 4_000_000, 128_000),
    ),
    "imagenet1k": (Case("20x less data (640k images beat static's 13M)", 13_000_000, 640_000),),
}


def pruned(row: Row, ratio: float) -> Row:
    """A DP row with as many additions, chosen by pruning at an over-sampling ratio above 1 instead."""
    plain = GuidanceConfig(omega=0.0)
    return replace(row, method="prune", config=replace(row.config, guidance=plain, over_sampling=ratio))


def comparison(profile: Task, **settings: Any) -> list[dict[str, Any]]:
    """Static, DP and generate-then-prune at equal published accuracy: counted costs.

    Pruning's accuracies are published as a picture only. Its lines have the DP row's additions chosen by pruning, at
    the over-sampling that follows from what is published: 5x DP's cost, a guided image being 1.82 plain ones.

    Args:
        profile: "imagenet100" or "imagenet1k".
        settings: of `plan`.
    """
    lines = []
    table = [row for row in rows_of(profile) if row.table in (4, 5)]
    for case in CASES[profile]:
        dp = next(row for row in table if row.method == "DP" and row.images == case.dp_images)
        static = next(row for row in table if row.method == "static" and row.images >= case.static_images)
        accuracy = {"static": static.published.real_val, "DP": dp.published.real_val, "prune": None}
        static = replace(static, config=replace(static.config, n_initial=case.static_images))
        plans = {row.method: plan(row, **settings) for row in (static, dp, pruned(dp, EQUAL_OVER_SAMPLING))}
        for method, each in plans.items():
            lines.append(
                {
                    "claim": case.claim,
                    "method": method,
                    "over_sampling": EQUAL_OVER_SAMPLING if method == "prune" else None,
                    "images": each.images,
                    "generated": each.plain_images + each.guided_images + each.candidates,
                    "published": accuracy[method],
                    "generation_gpu_hours": each.generation_gpu_hours,
                    "gpu_hours": each.gpu_hours,
                    "images_over_dp": each.images / plans["DP"].images,
                    "generation_over_dp": each.generation_flop / plans["DP"].generation_flop,
                    "gpu_hours_over_dp": each.gpu_hours / plans["DP"].gpu_hours,
                }
            )
    return lines


def plan_command(
    profile: str = "imagenet100",
    table: int | None = None,
    figure: int | None = None,
    gpu: str = "H100",
    gpus: int = 32,
    utilisation: float = 0.35,
    gradient: Gradient = "unet",
    decoder: Decoder = "vae",
    every: int = 5,
    interval: tuple[float, float] = (0.0, 1.0),
    bytes_per_image: int = BYTES_PER_IMAGE,
    commands: bool = False,
    json: bool = False,
    plot: Path | None = None,
) -> None:
    """Say what the paper's rows cost, without running anything.

    Args:
        profile: imagenet100 or imagenet1k.
        table: rows of this table of the paper alone.
        figure: rows that this figure of the paper is made of.
        gpu: V100, A100, L40S, H100 or H200; published peaks, dense bfloat16 (V100: float16).
        gpus: how many, for wall hours.
        utilisation: share of the peak that is used, above 0 and at most 1.
        gradient: of guidance; see docs/guidance.md for this and the next three.
        decoder: what guidance decodes with.
        every: guides every k-th step.
        interval: of noise levels that are guided.
        bytes_per_image: of an image as it is kept, 256 x 256 pixels.
        commands: print what starts each row, with its cost and its published accuracy, as a shell script.
        json: print everything that is counted as JSON.
        plot: draw counted cost against published accuracy into this PNG file.
    """
    rows = rows_of(profile, table, figure)
    if commands:
        if json or plot:
            raise UserError("commands: got it with json or plot, expected it alone; give two commands")
        plans = [plan(row, gpu, utilisation, gpus=gpus, bytes_per_image=bytes_per_image) for row in rows]
        print(listing(rows, plans, list(map(added_gpu_hours, rows, plans)), gpus, _machine(gpu, gpus, utilisation)))
        return
    guidance = GuidanceConfig(interval=interval, every=every, gradient=gradient)
    settings: dict[str, Any] = {
        "gpu": gpu,
        "utilisation": utilisation,
        "guidance": guidance,
        "decoder": decoder,
        "gpus": gpus,
        "bytes_per_image": bytes_per_image,
    }
    plans = [plan(row, **settings) for row in rows]
    if plot is not None:
        draw(plot, profile, settings)
    sums, compared = totals(rows, plans), comparison(rows[0].task, **settings)
    if json:
        report = {
            "profile": profile,
            "gpu": gpu,
            "gpus": gpus,
            "utilisation": utilisation,
            "peak_flop_per_second": GPUS[gpu],
            "bytes_per_image": bytes_per_image,
            "guided_by": {"gradient": gradient, "decoder": decoder, "every": every, "interval": list(interval)},
            "rows": [{**asdict(each), "row": asdict(row)} for row, each in zip(rows, plans, strict=True)],
            "totals": sums,
            "comparison": compared,
            "not_stated_in_the_paper": NOT_STATED,
            "guidance": guidance_costs(),
        }
        print(dumps(report, indent=1))
    else:
        print(text(plans, sums, compared, _machine(gpu, gpus, utilisation)))


def _machine(gpu: str, gpus: int, utilisation: float) -> str:
    return f"{gpus} x {gpu} at {utilisation:.0%} of {GPUS[gpu] / 1e12:g} TFLOP/s"


def text(
    plans: Sequence[Plan], sums: Sequence[dict[str, Any]], compared: Sequence[dict[str, Any]], machine: str
) -> str:
    """The plans, totals and comparison for people."""
    lines = [
        f"Counted operations on {machine}; 50 DDIM steps, classifier-free guidance. Accuracies are published ones.",
        f"{'':45} {'generated':>10} {'guided':>6} {'generation':>17} {'training':>9} {'total':>9} {'wall':>8} "
        f"{'storage':>8} {'real':>6}",
        f"{'row':45} {'images':>10} {'/plain':>6} {'PFLOP':>9} {'GPU-h':>7} {'GPU-h':>9} {'GPU-h':>9} {'h':>8} "
        f"{'GB':>8} {'val %':>6}",
    ]
    for each in plans:
        made = each.plain_images + each.guided_images + each.candidates
        ratio = f"{each.guided_over_plain:.2f}" if each.guided_over_plain else "-"
        accuracy = f"{each.published:.2f}" if each.published is not None else "-"
        name = f"{each.place}  {each.name}{' *' * each.by_others}"
        lines.append(
            f"{name:45} {short(made) if made else '-':>10} {ratio:>6} {each.generation_flop / 1e15:9,.0f} "
            f"{each.generation_gpu_hours:7,.0f} {each.training_gpu_hours:9,.0f} {each.gpu_hours:9,.0f} "
            f"{each.wall_hours:8,.1f} {each.storage_bytes / 1e9:8,.1f} {accuracy:>6}"
        )
    if any(each.by_others for each in plans):
        lines.append("* published by others, not run; counted with this paper's settings, not in the totals")
    lines += ["", f"{'totals':12} {'rows':>5} {'GPU-h, each row alone':>22} {'GPU-h, with branches':>22}"]
    for line in sums:
        lines.append(
            f"{line['place']:12} {line['rows']:5d} {line['gpu_hours']:22,.0f} {line['gpu_hours_with_branches']:22,.0f}"
        )
    lines += [
        "",
        "At equal published accuracy (pruning: at the over-sampling at which the published 5x and 1.82x put it)",
    ]
    claim = None
    for line in compared:
        if line["claim"] != claim:
            claim = line["claim"]
            lines += [
                claim,
                f"{'':12} {'generated':>10} {'generation GPU-h':>17} {'total GPU-h':>12} {'val %':>6}  over DP",
            ]
        accuracy = f"{line['published']:.2f}" if line["published"] is not None else "-"
        lines.append(
            f"  {line['method']:10} {short(line['generated']):>10} {line['generation_gpu_hours']:17,.0f} "
            f"{line['gpu_hours']:12,.0f} {accuracy:>6}  images {line['images_over_dp']:.1f}x, generation "
            f"{line['generation_over_dp']:.1f}x, all {line['gpu_hours_over_dp']:.1f}x"
        )
    return "\n".join(lines)


def draw(path: Path, profile: str, settings: dict[str, Any]) -> None:
    """Counted cost of generation against published accuracy (figure 5 d at the paper's scale), as a PNG file.

    Raises:
        UserError: matplotlib is not installed, or the file is not called .png.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("plot: matplotlib is not installed; pip install matplotlib, or plan without it") from None
    if path.suffix != ".png":
        raise UserError(f"plot: got {path}, expected a file called .png")
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    rows = [row for row in rows_of(profile) if row.table in (4, 5)]
    for method, colour, marker in (("static", "#555555", "s"), ("DP", "#D55E00", "o")):
        points = sorted(
            (plan(row, **settings).generation_flop / 1e15, row.published.real_val)
            for row in rows
            if row.method == method
        )
        axis.plot(*zip(*points, strict=True), color=colour, marker=marker, label=method)
    points = sorted(
        (plan(pruned(row, EQUAL_OVER_SAMPLING), **settings).generation_flop / 1e15, row.published.real_val)
        for row in rows
        if row.method == "DP"
    )
    label = f"prune at {EQUAL_OVER_SAMPLING:.1f}, cost counted; DP's accuracy assumed, from the published 5x and 1.82x"
    axis.plot(*zip(*points, strict=True), color="#CC79A7", marker="D", markerfacecolor="none", label=label)
    study = {  # every omega costs the same
        f"x{row.config.over_sampling:g}" if row.method == "prune" else "DP": row
        for row in rows_of(profile)
        if row.figure == 5
    }
    for name, row in study.items():
        cost, height = plan(row, **settings).generation_flop / 1e15, 0.97 if row.method == "prune" else 0.93
        axis.axvline(cost, color="#CC79A7" if row.method == "prune" else "#D55E00", linestyle=":", linewidth=1)
        axis.annotate(name, (cost, height), (2, 0), ("data", "axes fraction"), "offset points", fontsize=8)
    if study:
        label = "figure 5: 130k + 130k, pruned at x1 .. x18 or guided (accuracies not printed)"
        axis.plot([], [], color="#777777", linestyle=":", linewidth=1, label=label)
    axis.set(
        xscale="log",
        xlabel="counted operations of generation (PFLOP)",
        ylabel=f"published real validation accuracy (%), table {rows[0].table}",
        title=f"{profile}: cost counted here, accuracy as published (arXiv 2502.15588v1)",
    )
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    figure.savefig(path, dpi=150)
