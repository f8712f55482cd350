"""Measure what entropy guidance gains and costs in every way of computing it, and which is the cheapest that will do.

Command   python benchmarks/guidance.py                       (measures; writes benchmarks/results/guidance.*)
          python benchmarks/guidance.py --recorded [--json]   (prints what is recorded there)
          python benchmarks/guidance.py --small               (minutes, in build/ only; for trying it out)
Time      about 50 minutes on one core; goes on where it stopped, from build/guidance/
Expected  a way that keeps 90% of the exact variant's entropy gain at equal recognition, at a counted cost of at most
          1.10 plain images on Stable Diffusion 1.5; `Generator` as fast as the pipeline called directly, within 2%

A half-trained classifier guides the bundled pipeline (10 DDIM steps, guidance scale 1.5). Gains are of finished images,
in nats of that classifier's entropy above the plain image of the same seed; recognised is what a classifier trained on
real images assigns to the class asked for. Variants differ in how much recognition a strength costs, so they are
compared where each costs 4 points (benchmarks/guidance_choice.py). All are measured on the same seeds; those that might
be chosen are measured again on fresh ones, and the choice is made on the fresh ones. Times are processor time of one
thread, guided and plain in turns; run it on a quiet machine all the same. Operations at full size are counted
(dp/paper/costs.py), not run: quality is measured on the bundled pipeline alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch.profiler's remarks on the lack of a GPU

# ruff: noqa: E402 (the path and the variables above come first)
import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import nn

from benchmarks.guidance_choice import DROP, GOAL, KEPT, Curve, at_drop, compared, promising, recommended
from benchmarks.guidance_cost import SD15_STEPS, memory_by_steps, stock_ratio, variant_costs
from benchmarks.guidance_quality import BATCH, STEPS, VARIANTS, Cell, Study, Variant, measure, new_learner, train
from dp.generation.generator import Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.guidance.objectives import Entropy, Robust
from dp.pretrained.load import bundled_pipeline
from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from dp.utils.files import atomic, write_json
from dp.utils.provenance import provenance

RESULTS = ROOT / "benchmarks" / "results" / "guidance.json"
GUIDANCE_SCALE = 1.5
OTHER_SCALE = 3.0
FINALISTS = 4

Cells = dict[tuple[Variant | None, float], Cell]


def main() -> None:
    """Measure or read, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print what is recorded, measure nothing")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--small", action="store_true", help="two variants, few seeds, one turn")
    parser.add_argument(
        "--robust", action="store_true", help="measure the robust objective alone, into the recorded file"
    )
    options = parser.parse_args()
    path = ROOT / "build" / "guidance-small" / "guidance.json" if options.small else RESULTS
    if options.recorded and not path.is_file():
        raise UserError(f"{path}: nothing recorded; run the same command without --recorded")
    if options.robust and not options.recorded:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"robust": robust()}, indent=1) + "\n")
    elif not options.recorded:
        record(path, options.small)
    results = json.loads(path.read_text())
    print(json.dumps(results, indent=1) if options.json else table(results))


def record(path: Path, small: bool) -> None:
    """Measure what is not measured yet, write it to `path`, draw it beside."""
    n, fresh, turns, variants = (128, 128, 1, VARIANTS[:1] + VARIANTS[-1:]) if small else (512, 4096, 5, VARIANTS)
    folder = path.parent if small else ROOT / "build" / "guidance"
    torch.set_num_threads(1)
    pipe = bundled_pipeline()
    learner, other_learner = (_learner(pipe, folder / f"learner-{seed}.safetensors", seed) for seed in (0, 1))

    study, default = Study(pipe, learner, 0, n, GUIDANCE_SCALE), Variant()
    at_default = [(default, omega) for omega in default.omegas]
    cells = measure(study, folder / "sweep", [(v, omega) for v in variants for omega in v.omegas], "variants")
    down = measure(study, folder / "down", at_default, "downwards", lambda images: -Entropy(learner)(images))
    other = measure(Study(pipe, learner, 0, n, OTHER_SCALE), folder / "scale", at_default, f"scale {OTHER_SCALE:g}")
    stages = {
        "cosines": _stage(folder / "cosines.json", study.cosines),
        "costs": _stage(folder / "costs.json", lambda: variant_costs(variants, learner, GUIDANCE_SCALE, turns)),
        "memory": _stage(folder / "memory.json", lambda: memory_by_steps(learner, GUIDANCE_SCALE)),
        "generator_over_stock": _stage(folder / "stock.json", lambda: [stock_ratio(GUIDANCE_SCALE, 6 * turns)]),
    }
    costs = {row["name"]: row for row in stages["costs"]["rows"]}

    best = max((v for v in variants if v.exact), key=lambda v: at_drop(curve(cells, v))[1])
    rows = [_row(v, cells, best, costs) for v in variants]
    finalists = [best, *(variants[rows.index(row)] for row in promising(rows) if row["name"] != best.name)]
    finalists = finalists[: 1 + FINALISTS]
    # Strengths around the one at which each costs DROP on the first seeds.
    around = {v: tuple(round(k * rows[variants.index(v)]["omega"], 3) for k in (0.6, 1.0, 1.5)) for v in finalists}
    study = Study(pipe, learner, 1, fresh, GUIDANCE_SCALE)
    again = measure(study, folder / "fresh", [(v, omega) for v in finalists for omega in around[v]], "fresh seeds")
    confirmed = [_row(v, again, best, costs) for v in finalists]
    stages["shared"] = _stage(
        folder / "shared.json", lambda: [study.shared(v, around[v][1], other_learner) for v in finalists]
    )

    seconds = sum(cell.seconds for part in (cells, down, other, again) for cell in part.values())
    seconds += sum(stage["seconds"] for stage in stages.values())
    results = {
        "setting": {
            "guidance_scale": GUIDANCE_SCALE,
            "steps": STEPS,
            "seeds": n,
            "fresh_seeds": fresh,
            "equal_recognition": f"{100 * DROP:g} points below plain images",
            "sd15": f"{SD15_STEPS} DDIM steps, 512 px, two UNet passes a step, ViT-B/16 as learner",
        },
        "plain": {
            f"scale_{scale:g}": {
                "entropy": round(float(part[None, 0.0].entropy.mean()), 4),
                "recognised": round(float(part[None, 0.0].recognised.mean()), 4),
            }
            for scale, part in ((GUIDANCE_SCALE, cells), (OTHER_SCALE, other))
        },
        "exact": best.name,
        "recommended": recommended(confirmed),
        "confirmed": confirmed,
        "shared": stages["shared"]["rows"],
        "variants": rows,
        "downwards": [{"name": default.name} | curve(down, default).summary()],
        "other_scale": [{"name": default.name, "guidance_scale": OTHER_SCALE} | curve(other, default).summary()],
        "cosines": stages["cosines"]["rows"],
        "memory": stages["memory"]["rows"],
        "generator_over_stock": stages["generator_over_stock"]["rows"][0],
        "made_by": provenance() | {"seconds": round(seconds, 1)},
    }
    write_json(path, results)
    plot(results, path.with_suffix(".png"))


# The ways that the robust objective is compared in, each at its strength.
ROBUST = [(Variant("unet", "vae", 1, (0.0, 1.0)), 0.1), (Variant("x0", "vae"), 0.5)]
ROBUST_SEEDS = 128


def robust() -> dict[str, Any]:
    """Return what a second classifier shares of the gain: of the entropy, and of its mean over shifts and noise."""
    torch.set_num_threads(1)
    start, pipe = time.process_time(), bundled_pipeline()
    build = ROOT / "build" / "guidance"
    learner, other = (_learner(pipe, build / f"learner-{seed}.safetensors", seed) for seed in (0, 1))
    study, rows = Study(pipe, learner, 2, ROBUST_SEEDS, GUIDANCE_SCALE), []
    for variant, omega in ROBUST:
        for name, objective in (("entropy", Entropy(learner)), ("robust entropy", Robust(Entropy(learner)))):
            rows.append({"objective": name} | study.shared(variant, omega, other, objective))
            print(json.dumps(rows[-1]), flush=True)
    seconds = round(time.process_time() - start, 1)
    return {"seeds": ROBUST_SEEDS, "rows": rows, "made_by": provenance() | {"seconds": seconds}}


def _learner(pipe: LatentClassPipeline, path: Path, seed: int) -> nn.Module:
    learner = new_learner(seed)
    if not path.exists():
        train(learner, Generator(pipe, GUIDANCE_SCALE, STEPS, BATCH), seed)
        with atomic(path) as partial:
            save_model(learner, partial)
    load_model(learner, path)
    return learner.eval().requires_grad_(False)


def _stage(path: Path, compute: Callable[[], list[dict[str, Any]]]) -> dict[str, Any]:
    """Rows and processor seconds, computed once and kept."""
    if not path.exists():
        start = time.process_time()
        rows = compute()
        write_json(path, {"rows": rows, "seconds": round(time.process_time() - start, 1)})
    return json.loads(path.read_text())


def _row(variant: Variant, cells: Cells, best: Variant, costs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All that is known of a variant."""
    axes = {"name": variant.name, "gradient": variant.gradient, "decoder": variant.decoder, "every": variant.every}
    comparison = compared(curve(cells, variant), curve(cells, best))
    return (
        axes
        | {"interval": list(variant.interval)}
        | comparison
        | costs[variant.name]
        | {"curve": curve(cells, variant).summary()}
    )


def curve(cells: Cells, variant: Variant) -> Curve:
    """A variant's cells over its strengths, plain images first."""
    omegas = sorted(omega for each, omega in cells if each == variant)
    points = [cells[None, 0.0], *(cells[variant, omega] for omega in omegas)]
    return Curve(
        np.array([0.0, *omegas]),
        np.stack([cell.entropy for cell in points]),
        np.stack([cell.recognised for cell in points]),
    )


def table(results: dict[str, Any]) -> str:
    """The variants, cheapest first, and the recommendation."""
    columns = ("omega", 6), ("gain", 6), ("of exact", 9), ("95%", 13), ("SD-1.5", 7), ("bundled", 8), ("memory", 7)
    lines = [f"{'variant':<24} " + " ".join(f"{name:>{width}}" for name, width in columns)]
    for title, rows in (("", results["variants"]), ("on fresh seeds", results["confirmed"])):
        lines += [title] if title else []
        for row in sorted(rows, key=lambda row: row["sd15_cost_ratio"]):
            low, high = row["entropy_gain_fraction_95"]
            lines.append(
                f"{row['name']:<24} {row['omega']:6.2f} {row['entropy_gain']:6.3f} {row['entropy_gain_fraction']:9.2f} "
                f"{low:6.2f} {high:6.2f} {row['sd15_cost_ratio']:7.2f} {row['measured_cost_ratio']:8.2f} "
                f"{row['memory_ratio']:7.2f}{'' if row['reaches_drop'] else '  (a lower bound)'}"
            )
    best = results["recommended"]
    lines.append(
        f"recommended: {best['name']} at omega {best['omega']:.2f}: {best['entropy_gain_fraction']:.0%} of the gain at "
        f"{best['sd15_cost_ratio']:.3f} x plain{'' if best['meets_goal'] else ': below the goal, the best trade'}"
    )
    lines.append(
        f"dp.generation.generator over the pipeline called directly: {results['generator_over_stock']['ratio']:.3f}"
    )
    return "\n".join(lines)


def markdown(row: dict[str, Any]) -> str:
    """A variant as a line of the table in docs/guidance.md."""
    low, high = row["entropy_gain_fraction_95"]
    steps = f"t < {row['interval'][1]:g} T" + (", every 2nd" if row["every"] == 2 else "")
    return (
        f"| {row['gradient']} | {row['decoder']} | {steps} | {row['omega']:.2f} | {row['entropy_gain']:.2f} | "
        f"{row['entropy_gain_fraction']:.2f} ({low:.2f} to {high:.2f}) | {row['sd15_cost_ratio']:.2f} | "
        f"{row['measured_cost_ratio']:.2f} | {row['memory_ratio']:.1f} |"
    )


def plot(results: dict[str, Any], path: Path) -> None:
    """Gain, as a fraction of the exact variant's at equal recognition, against the counted extra cost at full size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    figure, panels = plt.subplots(1, 2, figsize=(10, 5.2), sharex=True, sharey=True, layout="constrained")
    looks = {"vae": ("#000000", "o"), "tiny": ("#D55E00", "s"), "linear": ("#56B4E9", "^")}
    titles = {"x0": "noise prediction held fixed (x0)", "unet": "through the U-Net"}
    for axes, (gradient, title) in zip(panels, titles.items(), strict=True):
        axes.axhline(KEPT, color="0.6", linewidth=0.8, linestyle="--")
        axes.axvline(GOAL - 1, color="0.6", linewidth=0.8, linestyle="--")
        axes.text(0.0028, KEPT, "wanted: above and to the left", fontsize=7, color="0.4", va="bottom")
        rows = {row["name"]: row for row in (*results["variants"], *results["confirmed"])}  # the latter on more seeds
        for row in rows.values():
            if row["gradient"] == gradient:
                colour, marker = looks[row["decoder"]]
                x, y = row["sd15_cost_ratio"] - 1, row["entropy_gain_fraction"]
                face = colour if row["every"] == 1 else "white"
                axes.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=7)
                # Where its number goes: so that none covers another marker.
                side = (12, -3) if row["every"] == 1 else (-12, -3)
                side = {("linear", 1): (0, -12), ("tiny", 2): (0, 6)}.get((row["decoder"], row["every"]), side)
                text = f"{row['interval'][1]:g}"
                axes.annotate(text, (x, y), side, textcoords="offset points", ha="center", fontsize=7)
                for name, label in ((results["recommended"]["name"], "recommended"), (results["exact"], "exact")):
                    if row["name"] == name:
                        axes.plot(x, y, "o", color="black", markerfacecolor="none", markersize=15)
                        axes.annotate(label, (x, y), (0, 11), textcoords="offset points", ha="center", fontsize=8)
        axes.set(title=title, xscale="log", xlabel="extra cost of an image, Stable Diffusion 1.5 (counted)")
        axes.set_xlim(0.0025, 8)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    for decoder, (colour, marker) in looks.items():
        panels[0].plot([], [], marker, color=colour, label=f"{decoder} decoder")
    panels[0].plot([], [], "D", color="0.4", label="every step")
    panels[0].plot([], [], "D", color="0.4", markerfacecolor="white", label="every second step")
    panels[0].plot([], [], " ", label="number: guided where t / T < it")
    figure.legend(fontsize=8, loc="outside lower center", ncols=6)
    panels[0].set_ylabel("entropy gain at equal recognition (exact = 1)")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    run_command(main)
