"""Measure what guidance works with: every scheduler on the bundled network, and diffusers' pipelines in tiny.

    python benchmarks/compatibility.py               # about 8 minutes on one core
    python benchmarks/compatibility.py --recorded    # writes the tables of docs/guidance.md anew, without computing

Each sampler makes 32 images, 10 steps, plain, with omega 0 and guided with omega 0.5 at t < 0.4 T, from the same seeds,
by a half-trained classifier. A scheduler is one that works if omega 0 gives the same bits as the plain sampler, entropy
rises by more than four standard errors, and the oracle recognises at most a tenth of the images less. One that misses
this on 32 images, of which a tenth is three, makes 256. Schedulers that need torchsde are left out where it is not
installed.
"""

import argparse
import inspect
import itertools
import json
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)

# ruff: noqa: E402 (the path comes first)
import diffusers
import torch
from torch import Tensor, nn

from benchmarks import tiny_pipelines
from benchmarks.guidance_cost import in_turns, middle
from benchmarks.guidance_quality import new_learner, train
from benchmarks.reparametrised import pipeline, sampled
from dp import Entropy, Generator, Preprocess, bundled_oracle, bundled_pipeline, guide
from dp.guidance.guidance import Gradient
from dp.utils.provenance import provenance
from dp.utils.seeding import stream

RESULT = ROOT / "benchmarks" / "results" / "compatibility.json"
PAGE = ROOT / "docs" / "guidance.md"
FIGURE = ROOT / "benchmarks" / "results" / "omega.png"
N, MORE, STEPS, OMEGA = 32, 256, 10, 0.5
LABELS, SEEDS = torch.arange(N) % 10, list(range(N))
LEARNT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
V, SAMPLE = {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
EDM = {"sigma_min": 0.03, "sigma_max": 14.6, "sigma_data": 1.0}  # the noise levels that the network was trained on
SCHEDULERS: list[tuple[str, dict[str, Any]]] = [
    ("DDIMScheduler", {}),
    ("DDIMScheduler", V),
    ("DDIMScheduler", SAMPLE),
    ("DDPMScheduler", {}),
    ("PNDMScheduler", {"skip_prk_steps": True}),
    ("EulerDiscreteScheduler", {}),
    ("EulerDiscreteScheduler", V),
    ("EulerDiscreteScheduler", {"use_karras_sigmas": True}),
    ("EulerDiscreteScheduler", {"use_exponential_sigmas": True}),
    ("EulerDiscreteScheduler", {"use_beta_sigmas": True}),
    ("EulerAncestralDiscreteScheduler", {}),
    ("HeunDiscreteScheduler", {}),
    ("KDPM2DiscreteScheduler", {}),
    ("KDPM2AncestralDiscreteScheduler", {}),
    ("LMSDiscreteScheduler", {}),
    ("IPNDMScheduler", {}),
    ("DEISMultistepScheduler", {}),
    ("UniPCMultistepScheduler", {}),
    ("UniPCMultistepScheduler", FLOW),
    ("SASolverScheduler", {}),
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", FLOW),
    ("DPMSolverSinglestepScheduler", {}),
    ("DPMSolverSDEScheduler", {"noise_sampler_seed": 0}),
    ("CosineDPMSolverMultistepScheduler", {"sigma_min": 0.03, "sigma_max": 14.6, "sigma_data": 1.0, **V}),
    ("LCMScheduler", {}),
    ("TCDScheduler", {}),
    ("EDMEulerScheduler", EDM),
    ("EDMDPMSolverMultistepScheduler", EDM),
    ("CMStochasticIterativeScheduler", {**EDM, "clip_denoised": False}),
    ("DDPMWuerstchenScheduler", {}),
    ("UnCLIPScheduler", {"clip_sample": False}),
    ("FlowMatchEulerDiscreteScheduler", {}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ("FlowMatchHeunDiscreteScheduler", {}),
    ("FlowMatchLCMScheduler", {}),
]
MONOTONE = ("DDIMScheduler", "EulerDiscreteScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler")
MONOTONE += ("FlowMatchEulerDiscreteScheduler",)
OMEGAS = (0.0, 0.1, 0.3, 0.6)


def scheduler_of(name: str, settings: dict[str, Any]) -> Any:
    """Return the scheduler, with the bundled network's noise schedule where it has one; None without torchsde."""
    kind = getattr(diffusers, name)
    if kind.__module__.startswith("diffusers.utils.dummy"):
        return None
    accepted = set(inspect.signature(kind.__init__).parameters) if name != "UnCLIPScheduler" else {"clip_sample"}
    return kind(**({k: v for k, v in LEARNT.items() if k in accepted} | settings))


def gain(before: Tensor, after: Tensor) -> dict[str, float]:
    """Return the mean gain, and its standard error."""
    difference = (after - before).detach()
    return {
        "gain": round(difference.mean().item(), 4),
        "error": round(difference.std().item() / len(difference) ** 0.5, 4),
    }


def recognised(images: Tensor) -> float:
    """Return the share of images that the oracle assigns to the class they were made for."""
    return round((bundled_oracle()(images).argmax(1) == LABELS).float().mean().item(), 3)


def of_scheduler(name: str, settings: dict[str, Any], learner: nn.Module) -> dict[str, Any] | None:
    """Return what guidance does under one scheduler; None if that cannot be imported."""
    scheduler = scheduler_of(name, settings)
    if scheduler is None:
        return None
    hardness, pipe = Entropy(learner), pipeline(scheduler)
    plain = sampled(pipe, LABELS, SEEDS, STEPS)
    with guide(pipe, learner, omega=0.0):
        nothing = sampled(pipe, LABELS, SEEDS, STEPS)
    row = {
        "scheduler": name,
        "settings": settings,
        "same": torch.equal(nothing, plain),
        "recognised": recognised(plain),
        "entropy": round(hardness(plain).mean().item(), 4),
    }
    for gradient in ("x0", "unet"):
        with guide(pipe, learner, omega=OMEGA, gradient=gradient) as guided:  # type: ignore[arg-type]
            images = sampled(pipe, LABELS, SEEDS, STEPS)
        row[gradient] = gain(hardness(plain), hardness(images)) | {
            "recognised": recognised(images),
            "guided_steps": guided.guided_steps,
        }
    return row


def on_more_seeds(
    name: str,
    settings: dict[str, Any],
    learner: nn.Module,
    steps: int = STEPS,
    omega: float = OMEGA,
    gradients: Sequence[Gradient] = ("x0", "unet"),
) -> dict[str, Any]:
    """Return what the oracle recognises of 256 images, and how much less of the guided ones, with standard errors."""
    hardness, oracle, pipe = Entropy(learner), bundled_oracle(), pipeline(scheduler_of(name, settings))
    labels = torch.arange(MORE) % 10

    def made() -> tuple[Tensor, Tensor]:
        parts = [range(first, first + 64) for first in range(0, MORE, 64)]
        images = torch.cat([sampled(pipe, labels[part.start : part.stop], list(part), steps) for part in parts])
        return (oracle(images).argmax(1) == labels).float(), hardness(images)

    right, before = made()
    row = {"scheduler": name, "settings": settings, "seeds": MORE, "steps": steps, "omega": omega}
    row["recognised"] = round(right.mean().item(), 3)
    for gradient in gradients:
        with guide(pipe, learner, omega=omega, gradient=gradient):
            still, after = made()
        row[gradient] = gain(before, after) | {"falls": gain(still, right)}
    return row


def monotone(name: str, learner: nn.Module) -> dict[str, Any]:
    """Return the mean entropy of finished images over omega, same seeds."""
    settings = {"skip_prk_steps": True} if name == "PNDMScheduler" else {}
    hardness, pipe, found = Entropy(learner), pipeline(scheduler_of(name, settings)), []
    for omega in OMEGAS:
        with guide(pipe, learner, omega=omega):
            found.append(round(hardness(sampled(pipe, LABELS, SEEDS, STEPS)).mean().item(), 4))
    return {"scheduler": name, "omega": list(OMEGAS), "entropy": found}


def sharp_classifier() -> nn.Module:
    """Return a small classifier with random weights that is sure of some images."""
    torch.manual_seed(3)
    net = nn.Sequential(Preprocess(8), nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 5))
    with torch.no_grad():
        net[-1].weight *= 4
    return net.eval()


def of_pipeline(name: str, n: int, steps: int) -> dict[str, Any]:
    """Return what guidance does to n images of a tiny pipeline."""
    classifier = sharp_classifier()
    hardness = Entropy(classifier)
    pipe, arguments = tiny_pipelines.built(name, n)
    plain = tiny_pipelines.sampled(pipe, arguments, n, steps)
    with guide(pipe, classifier, omega=0.0):
        nothing = tiny_pipelines.sampled(pipe, arguments, n, steps)
    row = {
        "pipeline": name,
        "class": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "same": torch.equal(nothing, plain),
    }
    for gradient in ("x0", "unet"):
        with guide(pipe, classifier, omega=OMEGA, gradient=gradient) as guided:  # type: ignore[arg-type]
            images = tiny_pipelines.sampled(pipe, arguments, n, steps)
        row[gradient] = gain(hardness(plain.float() * 2 - 1), hardness(images.float() * 2 - 1)) | {
            "guided_steps": guided.guided_steps
        }
    return row


def overhead(turns: int = 21) -> dict[str, Any]:
    """Return the time of 16 images with omega 0 over that of the plain pipeline, in turns: median and quartiles."""
    pipe, learner, n = bundled_pipeline(), bundled_oracle(), 16

    def plain() -> None:
        pipe(LABELS[:n].tolist(), STEPS, generator=[stream(seed) for seed in SEEDS[:n]], output_type="pt")

    def nothing() -> None:
        with guide(pipe, learner, omega=0.0):
            plain()

    plain()  # warm up
    return middle(in_turns(plain, nothing, turns))


SWAPS = ("DDIM", "Euler", "Heun", "PNDM", "DEISMultistep", "UniPCMultistep", "DPMSolverMultistep")


def swaps() -> list[dict[str, Any]]:
    """Return how far each sampler is, in 10 evaluations of the network, from the images that all converge to.

    The same noise and classes; root mean square over pixels in [-1, 1], against 200 steps of DDIM.
    """
    trailing: dict[str, Any] = {"timestep_spacing": "trailing"}
    converged = sampled(pipeline(scheduler_of("DDIMScheduler", trailing)), LABELS, SEEDS, 200)
    rows = []
    for each in SWAPS:
        name = {"Euler": "EulerDiscreteScheduler", "Heun": "HeunDiscreteScheduler"}.get(each, f"{each}Scheduler")
        settings = trailing | ({"skip_prk_steps": True} if each == "PNDM" else {})
        steps = {"Heun": 5, "PNDM": 9}.get(each, 10)  # which call the network twice per step, or once more
        images = sampled(pipeline(scheduler_of(name, settings)), LABELS, SEEDS, steps)
        distance = (images - converged).square().mean().sqrt().item()
        rows.append({"scheduler": name, "steps": steps, "distance": round(distance, 4)})
    return rows


def figure(learner: nn.Module) -> None:
    """Draw the same seeds over omega, for the bundled network as a DDIM model and as a flow model."""
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(len(OMEGAS), 12, figsize=(9.6, 3.5), layout="constrained")
    for half, (name, title) in enumerate((("DDIMScheduler", "DDIM"), ("FlowMatchEulerDiscreteScheduler", "flow"))):
        pipe = pipeline(scheduler_of(name, {}))
        for row, omega in enumerate(OMEGAS):
            with guide(pipe, learner, omega=omega):
                images = sampled(pipe, LABELS, SEEDS, STEPS)[:6]
            for column, image in enumerate(images):
                axis = axes[row, 6 * half + column]
                axis.imshow(image[0], cmap="gray", vmin=-1, vmax=1)
                axis.set(xticks=[], yticks=[])
            axes[row, 0].set_ylabel(f"ω = {omega:g}", fontsize=8)
        axes[0, 6 * half].set_title(title, fontsize=8, loc="left")
    drawing.savefig(FIGURE, dpi=110)
    plt.close(drawing)


def works(row: dict[str, Any], gradient: str) -> bool:
    """Return whether a row meets the criteria of the docstring of this file."""
    there = row[gradient]
    falls = row.get("recognised", 0.0) - there.get("recognised", 0.0)
    errors = 4 if "recognised" in row else 3
    return row["same"] and there["gain"] > errors * there["error"] and falls <= 0.1 + 1e-9


def scheduler_table(rows: list[dict[str, Any]]) -> str:
    """Return the schedulers as a table in Markdown."""
    lines = [
        "| scheduler | omega 0 | recognised | x0: gain (nats) | recognised | unet: gain (nats) | recognised |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        settings = ", ".join(f"{v}" if isinstance(v, str) else k for k, v in row["settings"].items() if shown(k))
        name = row["scheduler"].removesuffix("Scheduler") + (f" ({settings})" if settings else "")
        cells = [name, "same" if row["same"] else "differs", f"{row['recognised']:.2f}"]
        for gradient in ("x0", "unet"):
            there = row[gradient]
            cells += [f"{there['gain']:.2f} ± {there['error']:.2f}", f"{there['recognised']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(setting: str) -> bool:
    """Return whether a setting distinguishes rows of the table."""
    return setting not in (
        *EDM,
        "skip_prk_steps",
        "noise_sampler_seed",
        "clip_denoised",
        "clip_sample",
        "use_flow_sigmas",
    )


def pipeline_table(rows: list[dict[str, Any]]) -> str:
    """Return the pipelines as a table in Markdown."""
    lines = [
        "| pipeline | its sampler | omega 0 | x0: gain / error | unet: gain / error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        errors = [f"{row[g]['gain'] / row[g]['error']:.1f}" for g in ("x0", "unet")]
        same = "same" if row["same"] else "differs"
        lines.append(
            f"| {row['pipeline']} | {row['scheduler'].removesuffix('Scheduler')} | {same} | {' | '.join(errors)} |"
        )
    return "\n".join(lines)


def written(page: str, name: str, table: str) -> str:
    """Return the page with the table between its marks."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.split(start)
    return before + start + table + "\n" + rest[rest.index(end) :]


def main() -> None:
    """Measure, record, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--recorded", action="store_true", help="write the tables of the recorded result")
    parser.add_argument("--only", nargs="+", help="measure these rows alone, into the recorded result")
    options = parser.parse_args()
    if not options.recorded:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        start, learner = time.time(), new_learner()
        train(learner, Generator(bundled_pipeline(), 1.5, STEPS, 128))
        learner.eval().requires_grad_(False)
        if options.only:
            result = json.loads(RESULT.read_text())
            for i, row in enumerate(result["schedulers"]):
                if row["scheduler"] in options.only:
                    again = of_scheduler(row["scheduler"], row["settings"], learner)
                    result["schedulers"][i] = (again or row) | {"made_by": provenance()}
            for i, row in enumerate(result["monotone"]):
                if row["scheduler"] in options.only:
                    result["monotone"][i] = monotone(row["scheduler"], learner) | {"made_by": provenance()}
            for i, row in enumerate(result["pipelines"]):
                if row["pipeline"] in options.only:
                    result["pipelines"][i] = of_pipeline(row["pipeline"], 64, 12) | {"made_by": provenance()}
            return report(result)
        rows = []
        for name, settings in SCHEDULERS:
            rows.append(of_scheduler(name, settings, learner))
            print(json.dumps(rows[-1]), flush=True)
        curves = [monotone(name, learner) for name in MONOTONE]
        figure(learner)
        pipelines = []
        for name in tiny_pipelines.PIPELINES:
            pipelines.append(of_pipeline(name, 64, 12))
            print(json.dumps(pipelines[-1]), flush=True)
        there = [row for row in rows if row is not None]
        missed = [row for row in there if not (works(row, "x0") and works(row, "unet"))]
        result = {
            "made_by": provenance() | {"seconds": round(time.time() - start)},
            "schedulers": there,
            "more_seeds": [on_more_seeds(row["scheduler"], row["settings"], learner) for row in missed]
            + [
                on_more_seeds("EulerDiscreteScheduler", {"use_beta_sigmas": True}, learner, steps=2 * STEPS),
                on_more_seeds("LCMScheduler", {}, learner, omega=0.3, gradients=["unet"]),
                on_more_seeds("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, learner, gradients=["unet"]),
                on_more_seeds("SASolverScheduler", {}, learner, gradients=["unet"]),
            ],
            "left_out": [name for (name, _), row in zip(SCHEDULERS, rows, strict=True) if row is None],
            "monotone": curves,
            "swaps": swaps(),
            "overhead": overhead(),
            "pipelines": pipelines,
        }
        return report(result)
    return report(json.loads(RESULT.read_text()))


def report(result: dict[str, Any]) -> None:
    """Record the result, write its tables into the page, and print what misses the criteria."""
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    page = written(PAGE.read_text(), "schedulers", scheduler_table(result["schedulers"]))
    PAGE.write_text(written(page, "pipelines", pipeline_table(result["pipelines"])))
    for row in result["schedulers"] + result["pipelines"]:
        name = row.get("pipeline", row["scheduler"])
        fails = [gradient for gradient in ("x0", "unet") if not works(row, gradient)]
        if fails:
            print(f"{name} {row.get('settings', '')}: misses the criteria with {', '.join(fails)}")
    for curve in result["monotone"]:
        if any(b <= a for a, b in itertools.pairwise(curve["entropy"])):
            print(f"{curve['scheduler']}: not monotone in omega, {curve['entropy']}")


if __name__ == "__main__":
    main()
