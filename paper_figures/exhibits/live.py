"""The live panel: a short run made on this machine just now, with its images."""

from matplotlib import pyplot as plt
from matplotlib.figure import SubFigure

from dp.data.fashion_mnist import CLASSES
from dp.utils.errors import UserError
from experiments.engine.results import load
from paper_figures.drawing.exhibit import LIVE, Entry, Exhibit, Rows
from paper_figures.drawing.pictures import show
from paper_figures.drawing.style import COLOURS, at_width, style

ENTRY = Entry("live", "Live run: made on this machine just now", LIVE, 1, ("live",))


def make(profile: str) -> Exhibit:
    """Make the exhibit from the live run; `profile` is not used."""
    results = load("live", "live")
    if not {"dp", "static"} <= results.keys():
        raise UserError("live: no live run yet; make one with python -m experiments live (make figures does)")
    rows: Rows = []
    with style():
        figure = plt.figure(figsize=at_width(10, 4.4), layout="constrained")
        panels = figure.subfigures(1, 2, width_ratios=(1, 1.7), squeeze=False)
        axis = panels[0, 0].subplots()
        for method, name in (("DP", "dp"), ("static", "static")):
            log = results[name]["log"]
            axis.plot(
                [entry["iteration"] for entry in log],
                [entry["validation_accuracy"] for entry in log],
                color=COLOURS[method],
                label=f"{method}, {log[-1]['pool_size']:,} images",
            )
            rows += [{"method": method, **entry} for entry in log]
        for addition in results["dp"]["additions"]:
            axis.axvline(addition["iteration"], color=COLOURS["DP"], linestyle="--", linewidth=0.7)
        axis.set(xlabel="iteration", ylabel="real validation accuracy (%)", ylim=(50, None))
        axis.legend(loc="lower right", frameon=True, framealpha=1, edgecolor="none")  # dashed lines pass behind it
        _pictures(panels[0, 1], results["dp"]["samples"])
    dp, static = results["dp"], results["static"]
    made = dp["made_by"]
    return Exhibit(
        ENTRY,
        f"Left: validation accuracy of a short DP run (dashed: its {len(dp['additions'])} additions of "
        f"{dp['config']['n_per_round']} images) and of static training on as many images. Right: images of its "
        f"initial pool and "
        "of its last addition, one column a class, each with the entropy in nats that the final learner gives it. "
        f"Final test accuracy: DP {dp['outcomes'][-1]['test_accuracy']:.1f}%, static "
        f"{static['outcomes'][-1]['test_accuracy']:.1f}%. One seed and {dp['config']['iterations']:,} "
        f"iterations show that it "
        f"works, not which is better. Made {made['date']} on {made['hardware']['cpu']} in {made['seconds']:.0f} + "
        f"{static['made_by']['seconds']:.0f} s.",
        rows,
        figure,
    )


def _pictures(figure: SubFigure, samples: Rows) -> None:
    """Draw initial images above, those of the last addition below, one column per class."""
    rounds = sorted({sample["round"] for sample in samples})
    for axis, round_ in zip(figure.subplots(len(rounds), 1, squeeze=False)[:, 0], rounds, strict=True):
        of_class = [[s for s in samples if (s["round"], s["label"]) == (round_, k)] for k in range(len(CLASSES))]
        lines = [list(line) for line in zip(*of_class, strict=False)]
        show(axis, lines, None, list(CLASSES) if round_ == rounds[-1] else None, "final_entropy")
        axis.tick_params(axis="x", rotation=45)
        axis.set_title("initial pool" if round_ == 0 else "last addition")
