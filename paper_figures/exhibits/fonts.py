"""Question: what if the generator has never seen the target? Printed digits in, handwriting out."""

from statistics import mean

from matplotlib import pyplot as plt

from experiments.analysis import foreign
from experiments.analysis.intervals import difference
from experiments.engine.results import load
from experiments.verdicts.foreign import foreign_generator
from experiments.verdicts.verdict import LEARNERS, times, with_interval
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.gap import draw_gap
from paper_figures.drawing.pictures import show
from paper_figures.drawing.shared import draw, missing, seeds, spread, title_of
from paper_figures.drawing.style import at_width, style

ENTRY = Entry(
    "fonts",
    "Question: what if the generator has never seen the target? Printed digits in, handwriting out",
    QUESTIONS,
    0,
    ("fonts", "fonts_tuning"),
)


def make(profile: str) -> Exhibit:
    """Draw the pictures, and a curve for each method, learner, choice of settings and target."""
    panels = [
        (setting, learner)
        for setting in foreign.SETTINGS
        for learner in LEARNERS
        if "static" in foreign.curves(profile, setting, learner)
    ]
    if not panels:
        raise missing("fonts", profile)
    pictures = load(profile, "fonts-pictures").get("pictures", {}).get("rows", [])
    heights = [1.8] * bool(pictures) + [2.6] * len(panels)
    rows: Rows = []
    with style():
        figure = plt.figure(figsize=at_width(6.75, sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        if pictures:
            axis = figure.add_subplot(grid[0, :])
            show(axis, [each["pictures"] for each in pictures], rows=[each["name"] for each in pictures])
        for line, (setting, learner) in enumerate(panels, start=bool(pictures)):
            for column, (target, title) in enumerate(foreign.TARGETS.items()):
                axis = figure.add_subplot(grid[line, column])
                curves = foreign.curves(profile, setting, learner, target)
                for method, curve in curves.items():
                    draw(axis, curve, method, line="-" if len(curve) > 1 else "")
                if "DP" in curves:
                    draw_gap(axis, curves["static"], curves["DP"])
                references = foreign.references(profile, learner, target, setting == "tuned")
                for source, look in (("real", "-"), ("glyphs", ":")):
                    for size, values in references.get(source, {}).items():
                        name = "real handwriting" if source == "real" else "glyphs"
                        label = f"{size:,} images of {name}" if source == "real" else f"{size:,} {name}"
                        axis.axhline(mean(values), linestyle=look, color="#009E73", linewidth=1, label=label)
                axis.set(xscale="log", xlabel="generated images trained on", ylabel="accuracy (%)")
                axis.set_title(f"{title}\n{title_of(setting, learner)}")
                rows += [
                    {
                        "settings": setting,
                        "learner": learner,
                        "target": target,
                        "method": method,
                        "images": n,
                        "seed_rank": i,
                        "accuracy": v,
                    }
                    for method, curve in curves.items()
                    for n, values in curve.items()
                    for i, v in enumerate(values)
                ]
        figure.axes[-1].legend(fontsize=6)
    table, counts = _table(profile, panels)
    return Exhibit(
        ENTRY,
        "The generator was trained on the digits of fonts alone: it has never seen an image of MNIST. Pictures: "
        "glyphs it was trained on, plain and guided images of the same seeds, and handwriting of MNIST, dark on white; "
        "a dot marks what the guiding learner gets wrong. Curves: test accuracy on MNIST (2,500 images) and, out of "
        "distribution, on scikit-learn's 1,797 digits, beside training on real handwriting and on the glyphs "
        f"themselves. Means and 95% intervals over {seeds(counts)}. Arrows: from static's best mean to the smallest DP "
        "size that has it. Settings were chosen on 1,000 validation images of MNIST, each method's by a search of its "
        "own; those of real handwriting, where tuned, in their learning rate alone, those of the glyphs not at all. "
        "Recognised: by a classifier of handwriting, by which nothing was chosen.",
        rows,
        figure,
        table=table,
        answer=_answer(profile),
    )


def _table(profile: str, panels: list[tuple[str, str]]) -> tuple[Rows, list[int]]:
    table: Rows = []
    counts = []
    for setting, learner in panels:
        by_target = {target: foreign.curves(profile, setting, learner, target) for target in foreign.TARGETS}
        judged = foreign.recognised(profile, setting, learner)
        for method, curve in by_target["test_accuracy"].items():
            for n, values in curve.items():
                counts.append(len(values))
                accuracies = {
                    f"{title} %": spread(by_target[target][method][n]) for target, title in foreign.TARGETS.items()
                }
                share = f"{judged[method, n]:.1f}" if (method, n) in judged else None
                named = {"learner and settings": title_of(setting, learner), "method": method, "images": n}
                table.append(named | accuracies | {"additions recognised %": share, "seeds": len(values)})
    for setting, learner in panels:
        tuned = setting == "tuned"
        by_target = {target: foreign.references(profile, learner, target, tuned) for target in foreign.TARGETS}
        for source, curve in by_target["test_accuracy"].items():
            if tuned and source == "glyphs":
                continue  # as with equal settings
            for n, values in curve.items():
                accuracies = {
                    f"{title} %": spread(by_target[target][source][n]) for target, title in foreign.TARGETS.items()
                }
                named = {"learner and settings": title_of(setting, learner), "method": source, "images": n}
                table.append(named | accuracies | {"additions recognised %": None, "seeds": len(values)})
    return table, counts


def _answer(profile: str) -> str:
    """Say what the verdicts say, and what the generator is worth beside its own source."""
    found = foreign_generator(profile)
    said = []
    if "C1" in found:
        parts = [
            f"{name} {times(e['effect'], e['interval'], e['at_least'])}"
            for name, e in found["C1"]["comparisons"].items()
        ]
        said.append(f"static images over DP images at static's best accuracy: {', '.join(parts)}")
    names = {"C2": "best DP minus best static", "C5": "DP minus real handwriting on the other digits"}
    names |= {"C7": "DP minus pruning at equal size"}
    for id_, name in names.items():
        if id_ in found:
            parts = [
                f"{key} {with_interval({'gain': e['effect'], **e})}" for key, e in found[id_]["comparisons"].items()
            ]
            said.append(f"{name}, points: {', '.join(parts)}")
    for learner in LEARNERS:
        glyphs = foreign.references(profile, learner).get("glyphs", {})
        static = foreign.curves(profile, "tuned", learner) or foreign.curves(profile, "equal", learner)
        if glyphs and "static" in static:
            ours, theirs = (curve[max(curve)] for curve in (static["static"], glyphs))
            said.append(
                f"{learner}, largest static set minus the glyphs, points: {with_interval(difference(ours, theirs))}"
            )
    return "; ".join(said).replace("convnet", "ConvNet").replace("vit", "ViT") + "." if said else ""
