"""The README's results and picture, from the same results as the report.

python -m paper_figures --readme
"""

import shutil
from pathlib import Path

from tabulate import tabulate

from dp.errors import UserError
from experiments.results import ROOT
from experiments.verdicts import as_json, verdicts
from paper_figures.in_short import effect, in_short

README, PICTURE = ROOT / "README.md", ROOT / "docs" / "figure4.png"
BEGIN, END = "<!-- results: python -m paper_figures --readme -->", "<!-- end of results -->"


def results(profile: str = "cpu") -> str:
    """The main result in words and one line a claim, as Markdown."""
    claims = as_json(verdicts(profile))
    words = "".join(f"- {line}\n" for line in in_short(claims))
    rows = [
        {
            "claim": f"{each['id']}: {each['claim']}",
            "here": each["verdict"],
            "effect (95% interval)": effect(each),
            "seeds": each["seeds"] or "",
        }
        for each in claims
    ]
    return f"{words}\n{tabulate(rows, headers='keys', tablefmt='github', disable_numparse=True)}"


def filled(text: str, profile: str = "cpu") -> str:
    """The README with the results there are now.

    Raises:
        UserError: it has no place for one.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f'README.md: expected the lines "{BEGIN}" and "{END}" around the results; put them back')
    return f"{before}{begin}\n\n{results(profile)}\n\n{end}{after}"


def update(figures: Path) -> None:
    """Write the table and copy the picture.

    Raises:
        UserError: figure 4 was not drawn.
    """
    if not (figures / "figure4.png").exists():
        raise UserError("readme: figure 4 has no results yet; python -m experiments run scaling tuned makes them")
    README.write_text(filled(README.read_text()))
    shutil.copy(figures / "figure4.png", PICTURE)
