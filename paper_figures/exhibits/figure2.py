"""Figure 2: training loss and validation accuracy with 0, 1, 2 and many additions."""

from itertools import pairwise
from statistics import mean

from matplotlib import pyplot as plt

from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Rows
from paper_figures.drawing.shared import NOT_COMPARABLE, Results, results_of, seeds, spread
from paper_figures.drawing.style import at_width, style

ENTRY = Entry("figure2", "Figure 2: training dynamics with and without additions", MEASURED, 2, ("dynamics",))

COLOURS = ("#555555", "#0072B2", "#009E73", "#D55E00")
LOOKS = (("-", "s"), ("-", "^"), ("-", "v"), ("-", "o"))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the dynamics study."""
    results = results_of(profile, "dynamics")
    planned = sorted({result["config"]["rounds"] for result in results.values()})
    by_plan = {k: [r for r in results.values() if r["config"]["rounds"] == k] for k in planned}
    rows: Rows = []
    additions: Rows = []
    with style():
        figure, (loss, accuracy) = plt.subplots(1, 2, figsize=at_width(9.5, 3.6), layout="constrained")
        for i, (k, runs) in enumerate(by_plan.items()):
            for number, run in enumerate(runs):
                log, first = run["log"], number == 0
                steps = [entry["iteration"] for entry in log]
                line, marker = LOOKS[i % 4]
                look = {"color": COLOURS[i % 4], "linestyle": line, "marker": marker, "markersize": 4}
                look |= {"markevery": (2 * i, 9), "linewidth": 1.4} if first else {"marker": "", "linewidth": 0.7}
                name = f"{k} addition{'s' * (k != 1)} of {run['config']['n_per_round']:,}" if k else "no addition"
                alpha = 1.0 if first else 0.3
                loss.plot(steps, [e["train_loss"] for e in log], label=name if first else None, alpha=alpha, **look)
                accuracy.plot(steps, [e["validation_accuracy"] for e in log], alpha=alpha, **look)
                for addition in run["additions"] if first else ():
                    thin = {"linestyle": (0, (4, 3)), "linewidth": 0.9 if len(run["additions"]) < 4 else 0.4}
                    for axis in (loss, accuracy):
                        axis.axvline(addition["iteration"], color=COLOURS[i % 4], zorder=0, **thin)
                whose = {"planned_additions": k, "seed": run["config"]["seed"]}
                rows += [{"kind": "validation", **whose, **entry} for entry in log]
                for addition in run["additions"]:
                    told = {name: addition[name] for name in ("iteration", "trigger", "pool_size")}
                    additions.append({"kind": "addition", **whose, **told})
        config = by_plan[planned[0]][0]["config"]
        end, start = config["iterations"], config["warmup"] * config["iterations"]
        for axis in (loss, accuracy):
            axis.axvspan(0, start, color="#F0E442", alpha=0.18, linewidth=0)
            axis.axvspan((1 - config["cooldown"]) * end, end, color="#56B4E9", alpha=0.15, linewidth=0)
            axis.set(xlabel="iteration", xlim=(0, end))
        late = [row for row in rows if row["iteration"] >= start]
        lost, top = [row["train_loss"] for row in late], [row["validation_accuracy"] for row in late]
        loss.set(ylabel="training loss (nats)", title="Training loss", ylim=(0.97 * min(lost), 1.03 * max(lost)))
        accuracy.set(ylabel="real validation accuracy (%)", title="Real validation accuracy")
        accuracy.set(ylim=(min(top) - 0.5, max(top) + 0.5))
        figure.legend(loc="outside lower center", ncols=len(planned))
    return Exhibit(
        ENTRY,
        f"The same {config['n_initial']:,} initial images, {seeds(map(len, by_plan.values()))} "
        f"(seed {config['seed']} bold, "
        "others faint). Dashed: when that seed's run added entropy-guided images; "
        f"yellow: warm-up; blue: cool-down; the axes leave out what warm-up does. Real test accuracy, "
        f"mean ± half its 95% interval: {_reached(by_plan)} Stands for figure 2 "
        f"(ImageNet-100, 130k images an addition), which shows a jump of the loss and a lifted plateau; its "
        "curves are not published in numbers. "
        f"{NOT_COMPARABLE}",
        rows + additions,
        figure,
        answer=_jump(results),
    )


def _jump(results: Results) -> str:
    """Say how the training loss differs between the validations after and before an addition."""
    jumps = []
    for run in results.values():
        log = run["log"]
        added = {addition["iteration"] for addition in run["additions"]}
        jumps += [b["train_loss"] - a["train_loss"] for a, b in pairwise(log) if a["iteration"] in added]
    triggers = [addition["trigger"] for run in results.values() for addition in run["additions"]]
    if not jumps:
        return "No run made an addition."
    word = "rises" if mean(jumps) > 0 else "falls"
    return (
        f"From the validation before an addition to the next, training loss {word} by {abs(mean(jumps)):.3f} nats on "
        f"average ({sum(jump > 0 for jump in jumps)} of {len(jumps)} additions raise it). Patience triggered "
        f"{triggers.count('patience')} of {len(triggers)} additions."
    )


def _reached(by_plan: dict[int, list]) -> str:
    parts = []
    for k, runs in by_plan.items():
        made = [len(run["additions"]) for run in runs]
        short = f" (made: {', '.join(map(str, made))})" if set(made) != {k} else ""
        tests = [run["outcomes"][-1]["test_accuracy"] for run in runs]
        parts.append(f"{k} addition{'s' * (k != 1)}{short}: {spread(tests)}%")
    return "; ".join(parts) + "."
