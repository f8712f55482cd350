"""Question: can practice be made to win, each method at its own best?"""

from experiments.analysis import foreign
from experiments.analysis.table import curve
from experiments.analysis.table import rows as read
from experiments.engine.results import load
from paper_figures.drawing.exhibit import QUESTIONS, Entry, Exhibit, Rows
from paper_figures.drawing.shared import LEARNERS, grouped, missing, spread

ENTRY = Entry("ideas", "Question: can practice be made to win, each method at its own best?", QUESTIONS, 0, ("ideas",))
SETS = {"fonts": "printed digits", "fashion": "Fashion-MNIST"}


def make(profile: str) -> Exhibit:
    """Tabulate the trials of the search, best first, and the runs with the best combination."""
    rows: Rows = []
    for data, title in SETS.items():
        trials: dict[str, list[float]] = {}
        for name, result in load(profile, f"ideas-{data}").items():
            combination = name.rsplit("-seed", 1)[0]
            trials.setdefault(combination, []).append(result["outcomes"][-1]["validation_accuracy"])
        for name, values in sorted(trials.items(), key=lambda each: -sum(each[1]) / len(each[1])):
            rows += [{"data": title, "run": f"trial: {name}", "validation": v, "test": None} for v in values]
        for learner, said in LEARNERS.items():
            for result in load(profile, f"ideas-{data}-{learner}").values():
                outcome = result["outcomes"][-1]
                run = f"{said}, {outcome['pool_size']:,} images"
                accuracies = {"validation": outcome["validation_accuracy"], "test": outcome["test_accuracy"]}
                rows.append({"data": title, "run": run} | accuracies)
    if not rows:
        raise missing("ideas", profile)
    table = [
        {
            "data": data,
            "run": run,
            "validation %": spread([row["validation"] for row in each]),
            "test %": spread([row["test"] for row in each]),
            "seeds": len(each),
        }
        for (data, run), each in grouped(rows, "data", "run").items()
    ]
    return Exhibit(
        ENTRY,
        "Trials are of the ConvNet and start from practice's best point; each changes how additions are made. They "
        "are ranked by mean validation accuracy and have not seen test images. Below them the best of all trials, with "
        "fresh seeds, at several sizes.",
        rows,
        table=table,
        answer=_answer(profile),
    )


def _answer(profile: str) -> str:
    """Compare the best size of the best combination with the best of each other method."""
    said = []
    for data, title in SETS.items():
        for learner, name in LEARNERS.items():
            own: dict[int, list[float]] = {}
            for result in load(profile, f"ideas-{data}-{learner}").values():
                outcome = result["outcomes"][-1]
                own.setdefault(outcome["pool_size"], []).append(outcome["test_accuracy"])
            if data == "fonts":
                others = foreign.curves(profile, "tuned", learner)
            else:
                recorded = read(profile, f"scaling-tuned-{learner}")
                others = {method: curve(recorded, method) for method in ("static", "DP", "omega = 0")}
            if own and any(others.values()):
                best = {
                    method: max(sum(values) / len(values) for values in each.values())
                    for method, each in ({"own": own} | others).items()
                    if each
                }
                parts = ", ".join(f"{method} {value:.2f}" for method, value in best.items())
                said.append(f"{title}, {name}, best means over sizes: {parts}")
    return "; ".join(said) + "." if said else ""
