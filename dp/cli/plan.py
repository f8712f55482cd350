"""`dp plan`: the costs of the paper's rows as a text, JSON, a picture or the commands that start them."""

from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Any

from dp.guidance.guidance import Gradient, GuidanceConfig
from dp.paper.costs import Decoder, guidance_costs
from dp.paper.equal_accuracy import EQUAL_OVER_SAMPLING, comparison, pruned
from dp.paper.launch_script import listing
from dp.paper.plan import BYTES_PER_IMAGE, GPUS, Plan, added_gpu_hours, plan, rows_of, totals
from dp.paper.row import NOT_STATED, short
from dp.utils.errors import UserError


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
