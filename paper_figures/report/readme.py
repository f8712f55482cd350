"""The README's results and picture, and docs/results.md, from the same results as the report.

python -m paper_figures --readme
"""

from typing import Any

from dp.utils.errors import UserError
from dp.utils.files import atomic
from experiments.paths import ROOT
from experiments.verdicts import as_json, verdicts
from paper_figures.drawing.exhibit import Rows
from paper_figures.drawing.shared import LEARNERS
from paper_figures.report import headline
from paper_figures.report.claims import answer, parts, tally

README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "headline.png", ROOT / "docs" / "headline-dark.png"
GUIDED = ROOT / "docs" / "guided.png"
MARKS = {
    name: (f"<!-- {name}: python -m paper_figures --readme -->", f"<!-- end of {name} -->")
    for name in ("number", "results")
}
QUESTIONS = {
    "C1": "How many fewer images reach static's best?",
    "C2": "How much better is DP's best than static's best?",
    "C9": "Does coming late help alone (omega = 0)?",
    "C10": "Were hard images easier earlier than plain ones?",
    "C7": "Is guiding better than pruning?",
    "C12": "Does a more diverse generator train better?",
}


def number(claims: Rows) -> str:
    """Return the README's one number: what C1 says of the learner in the picture, at equal settings and tuned."""
    [claim] = [each for each in claims if each["id"] == "C1"]
    if claim["verdict"] == "not tested here":
        return "Not measured yet."
    name = LEARNERS[headline.LEARNER]
    equal, tuned = (
        next((part.measured for part in parts(claim) if part.name == f"{name}, {setting}"), "not measured yet")
        for setting in ("equal settings", "tuned")
    )
    ratio, _, interval = equal.replace(" or more (", ", or still fewer (").partition(" (")
    fewer = ratio.replace("times", "times fewer images", 1)
    return (
        f"**Static training's best accuracy with {fewer}** (95% interval {interval}: ConvNet, one set of settings for "
        f"all methods, as in the paper, which has 7.5 times on ImageNet-100. Each method tuned: {tuned}."
    )


def summary(claims: Rows) -> str:
    """Return the README's table as Markdown: question, equal settings, tuned, verdict."""
    by_id = {each["id"]: each for each in claims}
    rows = [("question", "equal settings", "each method tuned", "verdict"), ("---",) * 4]
    for id_, question in QUESTIONS.items():
        cells: dict[str, list[str]] = {"equal": [], "tuned": []}
        for part in parts(by_id[id_]):
            setting = "tuned" if "tuned" in part.name else "equal"
            name = part.name.removesuffix(", equal settings").replace(", tuned", "").removeprefix("one addition: ")
            cells[setting].append(f"{name}: {part.measured}" if name else part.measured)
        shown = ["; ".join(found).replace(" points", "") for found in cells.values()]
        rows.append((f"{question} ({id_})", *shown, by_id[id_]["verdict"]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def results(claims: Rows) -> str:
    """Return docs/results.md: every claim with its verdict and what was measured, in words."""
    rows = [("claim", "verdict", "measured"), ("---",) * 3]
    rows += [(f"{each['id']}: {each['claim']}", each["verdict"], each["measured"]) for each in claims]
    said = ", ".join(words for _, words in tally(claims))
    return PAGE.format(
        count=len(claims), tally=said, answer=answer(claims), table="\n".join(f"| {' | '.join(row)} |" for row in rows)
    )


PAGE = """# The paper's claims, as they hold here

Written by `python -m paper_figures --readme` from the recorded results; `python -m experiments verdicts --json` prints
the same with every number. `build/report.html` draws it, every part of a claim with its interval.

{count} claims: {tally}. {answer}

Fashion-MNIST, a generator of two million parameters, a ConvNet of 35,000 and a ViT of 225,000. Equal: one guidance
scale and one set of settings for all methods, as the paper compares; tuned: each method at the settings that its own
search found, on the same budget. A claim has parts, such as learners and settings: it holds in part if some were seen
to hold, does not hold if none was and at least one was seen not to, and is not decided if all are open. Intervals are
95% intervals over three to five seeds; a ratio has no upper end where DP may do as well already with its fewest
images.

Where a curve is flat, the number of images that it needs is a matter of noise: with the second best settings of static
training's search the ViT's tuned ratio is 7.3 with five seeds and was 3.8 with three ([the search](experiments.md)).
IN-100 and IN-1k are ImageNet with 100 and 1,000 classes; OOD is out of distribution, images of another kind than those
learned from; omega is the strength of entropy guidance.

{table}
"""


def filled(text: str, claims: Rows) -> str:
    """Return the README with the results there are now.

    Raises:
        UserError: it has no place for them.
    """
    for name, made in (("number", number(claims)), ("results", summary(claims))):
        begin, end = MARKS[name]
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise UserError(f'README.md: expected the lines "{begin}" and "{end}" around the {name}; put them back')
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    return text


def update(profile: str = "cpu") -> None:
    """Write both pages and the picture.

    Raises:
        UserError: what the picture shows has no results yet.
    """
    claims: list[dict[str, Any]] = as_json(verdicts(profile))
    headline.write(profile, *PICTURES)
    headline.write_guided(GUIDED)
    for path, text in ((README, filled(README.read_text(), claims)), (RESULTS, results(claims))):
        with atomic(path) as partial:
            partial.write_text(text)
