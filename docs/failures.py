"""The pictures of docs/failures.md, and the numbers beside them; a few minutes on two cores.

python docs/failures.py            # writes docs/failures/*.png and docs/failures/numbers.json
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib
import torch
from matplotlib import pyplot as plt

from dp import (
    Generator,
    GuidanceConfig,
    ImageSet,
    PracticeConfig,
    bundled_generator,
    bundled_oracle,
    run_practice,
    validation_images,
)
from dp.learner.models import on_full_images
from dp.practice.state import State
from dp.utils.provenance import provenance

matplotlib.use("Agg")
FOLDER = Path(__file__).parent / "failures"
OMEGAS = (0.0, 0.1, 0.3, 0.8, 1.5)
COUNT = 200  # images a measurement
# No schedule makes overdue additions: patience alone decides.
RUN = PracticeConfig(
    seed=3,
    n_initial=200,
    n_per_round=50,
    rounds=40,
    guidance_scale=3.0,
    guidance=GuidanceConfig(omega=0.1, interval=(0.0, 1.0)),
    iterations=1200,
    validate_every=20,
    lr=2e-3,
    backstop=False,
)
PATIENCES = {
    "fixed, 1": replace(RUN, patience=1),
    "growing, from 1": replace(RUN, patience=1, incremental=True),
    "fixed, 40": replace(RUN, patience=40),
}


def artefacts(generator: Generator, learner: torch.nn.Module) -> list[dict[str, float]]:
    """A picture of one image a class over omega, and how many of `COUNT` a classifier of real images recognises."""
    oracle, labels = bundled_oracle(), torch.arange(COUNT) % 10
    figure, axes = plt.subplots(len(OMEGAS), 10, figsize=(6.75, 3.9), layout="constrained")
    numbers = []
    for row, omega in zip(axes, OMEGAS, strict=True):
        made = generator.generate(labels, list(range(COUNT)), learner, GuidanceConfig(omega))
        with torch.no_grad():
            right = oracle(made.images.float() / 127.5 - 1).argmax(1) == labels
        numbers.append(
            {"omega": omega, "entropy": made.entropy.mean().item(), "recognised": right.float().mean().item()}
        )
        for axis, image in zip(row, made.images, strict=False):
            axis.imshow(image[0], cmap="gray", vmin=0, vmax=255)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(f"omega {omega:g}", fontsize=8)
    figure.savefig(FOLDER / "artefacts.png", dpi=110, metadata={"Software": None})
    return numbers


def pools(states: dict[str, State]) -> dict[str, dict[str, float]]:
    """A picture of pool size and accuracy over training for each patience."""
    figure, (size, accuracy) = plt.subplots(1, 2, figsize=(6.75, 2.5), layout="constrained")
    numbers = {}
    for (name, state), colour in zip(states.items(), ("#D55E00", "#0072B2", "#555555"), strict=True):
        times = [entry["iteration"] for entry in state.log]
        size.plot(times, [entry["pool_size"] for entry in state.log], color=colour, label=name)
        accuracy.plot(times, [entry["validation_accuracy"] for entry in state.log], color=colour)
        final = len(state.pool)
        numbers[name] = {
            "additions": len(state.additions),
            "images": final,
            "passes over the final pool": RUN.iterations * RUN.batch_size / final,
            "validation_accuracy": state.log[-1]["validation_accuracy"],
        }
    size.set(xlabel="iteration", ylabel="images in the pool")
    accuracy.set(xlabel="iteration", ylabel="real validation accuracy (%)", ylim=(60, None))
    figure.legend(*size.get_legend_handles_labels(), title="patience", frameon=False, loc="outside right center")
    figure.savefig(FOLDER / "patience.png", dpi=110, metadata={"Software": None})
    return numbers


def main() -> None:
    """Write the pictures and the numbers."""
    FOLDER.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    some = ImageSet(validation_images().images[:1000], validation_images().labels[:1000])
    states = {
        name: run_practice(config, bundled_generator(config), some, None)[1] for name, config in PATIENCES.items()
    }
    learner = states["growing, from 1"].ema.module
    generator = Generator(bundled_generator(RUN).pipe, guidance_scale=1.5, steps=10)
    numbers = {"artefacts": artefacts(generator, on_full_images(RUN, learner)), "patience": pools(states)}
    made = {"config": asdict(RUN), "patiences": list(PATIENCES), "made_by": provenance()}
    (FOLDER / "numbers.json").write_text(json.dumps(numbers | made, indent=1) + "\n")
    print(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
