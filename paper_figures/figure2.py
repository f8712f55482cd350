"""Figure 2: training loss and validation accuracy with 0, 1 and 2 additions."""

import numpy as np
from matplotlib import pyplot as plt

from experiments.results import load
from paper_figures.exhibit import Exhibit
from paper_figures.style import style

COLOURS = ("#555555", "#0072B2", "#D55E00")


def make(profile: str) -> Exhibit:
    """From the dynamics study."""
    results = load(profile, "dynamics")
    rows, final = [], {}
    with style():
        figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        config = next(iter(results.values()))["config"]
        for k in sorted({r["config"]["rounds"] for r in results.values()}):
            runs = [r for r in results.values() if r["config"]["rounds"] == k]
            final[k] = [r["outcomes"][-1]["test_accuracy"] for r in runs]
            for run in runs:
                first = run["config"]["seed"] == runs[0]["config"]["seed"]
                look = {"color": COLOURS[k % 3], "alpha": 1.0 if first else 0.25, "linewidth": 1.4 if first else 0.8}
                label = f"{k} addition{'s' * (k != 1)}" if first else None
                steps = [entry["iteration"] for entry in run["log"]]
                loss.plot(steps, [entry["train_loss"] for entry in run["log"]], label=label, **look)
                accuracy.plot(steps, [entry["validation_accuracy"] for entry in run["log"]], **look)
                for addition in run["additions"] if first else ():
                    for axis in (loss, accuracy):
                        axis.axvline(addition["iteration"], color=COLOURS[k % 3], linestyle="--", linewidth=0.9)
                rows += [{"additions": k, "seed": run["config"]["seed"], **entry} for entry in run["log"]]
        end = config["iterations"]
        for axis in (loss, accuracy):
            axis.axvspan(0, config["warmup"] * end, color="#F0E442", alpha=0.18, linewidth=0)
            axis.axvspan((1 - config["cooldown"]) * end, end, color="#56B4E9", alpha=0.15, linewidth=0)
            axis.set(xlabel="iteration", xlim=(0, end))
        after = [row["train_loss"] for row in rows if row["iteration"] >= config["warmup"] * end]
        loss.set(ylabel="training loss", title="Training loss", ylim=(0.95 * min(after), 1.05 * max(after)))
        top = max(row["validation_accuracy"] for row in rows)
        accuracy.set(ylabel="accuracy (%)", title="Real validation accuracy", ylim=(top - 12, top + 1))
        loss.legend()
    triggers = [a["trigger"] for r in results.values() for a in r["additions"]]
    reached = "; ".join(
        f"{k} addition{'s' * (k != 1)}: {np.mean(v):.1f}% (sd {np.std(v, ddof=1):.1f})" for k, v in final.items()
    )
    return Exhibit(
        "figure2",
        "Figure 2: training dynamics with 0, 1 and 2 additions",
        f"Each addition brings as many entropy-guided images ({config['n_per_round']:,}) as the run started with "
        f"({config['n_initial']:,}). Dashed: when images were added (seed {config['seed']} bold, other seeds faint); "
        f"yellow: warm-up; blue: cool-down. {triggers.count('patience')} of {len(triggers)} additions were "
        f"triggered by "
        f"patience. Final test accuracy, mean over {len(final[0])} seeds: {reached}. In the paper (ImageNet-100, 130k "
        "images an addition) the loss jumps up at an addition and validation accuracy leaves its plateau.",
        rows,
        figure,
    )
