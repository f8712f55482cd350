"""`dp plan`: the costs of the paper's rows as a text, JSON or the commands that start them."""

from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from typing import Any

from dp.guidance.guidance import Gradient, GuidanceConfig
from dp.paper.costs import Decoder, guidance_costs
from dp.paper.launch_script import listing
from dp.paper.plan import BYTES_PER_IMAGE, GPUS, Gpu, Plan, Utilisation, added_gpu_hours, plan, rows_of, totals
from dp.paper.row import NOT_STATED, Task, short
from dp.utils.errors import UserError
from dp.utils.validation import Count, CountOrZero, Share, checked

Guided = tuple[Gradient, Decoder, int, tuple[float, float]]
AS_IN_THE_ROWS: Guided = ("unet", "vae", 5, (0.0, 1.0))


@checked
def plan_command(
    profile: Task = "imagenet100",
    table: CountOrZero | None = None,
    figure: CountOrZero | None = None,
    gpu: Gpu = "H100",
    gpus: Count = 32,
    utilisation: Utilisation = 0.35,
    gradient: Gradient = AS_IN_THE_ROWS[0],
    decoder: Decoder = AS_IN_THE_ROWS[1],
    every: Count = AS_IN_THE_ROWS[2],
    interval: tuple[Share, Share] = AS_IN_THE_ROWS[3],
    bytes_per_image: Count = BYTES_PER_IMAGE,
    commands: bool = False,
    json: bool = False,
) -> None:
    """Say what the paper's rows cost, without running anything.

    Args:
        profile: imagenet100 or imagenet1k.
        table: rows of this table of the paper alone.
        figure: rows that this figure of the paper is made of.
        gpu: its published peak counts, dense bfloat16 (V100: float16).
        gpus: how many, for wall hours.
        utilisation: share of the peak that is used, above 0 and at most 1.
        gradient: of guidance; see docs/guidance.md for this and the next three.
        decoder: what guidance decodes with.
        every: guides every k-th step.
        interval: of noise levels that are guided.
        bytes_per_image: of an image as it is kept, 256 x 256 pixels.
        commands: print what starts each row, with its cost and its published accuracy, as a shell script.
        json: print everything that is counted as JSON.
    """
    rows = rows_of(profile, table, figure)
    if commands:
        if json or (gradient, decoder, every, interval) != AS_IN_THE_ROWS:
            raise UserError(
                "commands: got it with json, gradient, decoder, every or interval, expected none of them: commands "
                "start the rows as they are"
            )
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
    sums = totals(rows, plans)
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
            "not_stated_in_the_paper": NOT_STATED,
            "guidance": guidance_costs(),
        }
        print(dumps(report, indent=1))
    else:
        print(text(plans, sums, _machine(gpu, gpus, utilisation)))


def _machine(gpu: Gpu, gpus: int, utilisation: float) -> str:
    return f"{gpus} x {gpu} at {utilisation:.0%} of {GPUS[gpu] / 1e12:g} TFLOP/s"


def text(plans: Sequence[Plan], sums: Sequence[dict[str, Any]], machine: str) -> str:
    """Return the plans and totals for people."""
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
    return "\n".join(lines)
