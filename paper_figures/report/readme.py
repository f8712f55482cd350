"""The README's results and picture, from the same results as the report.

python -m paper_figures --readme
"""

from pathlib import Path

from dp.utils.errors import UserError
from dp.utils.files import atomic
from experiments.paths import ROOT
from experiments.verdicts import as_json, verdicts

README, PICTURE = ROOT / "README.md", ROOT / "docs" / "figure4.png"
BEGIN, END = "<!-- results: python -m paper_figures --readme -->", "<!-- end of results -->"


def results(profile: str = "cpu") -> str:
    """One line a claim, as Markdown."""
    claims = as_json(verdicts(profile))
    rows = [(f"{each['id']}: {each['claim']}", each["verdict"], each["measured"]) for each in claims]
    return "\n".join(f"| {' | '.join(row)} |" for row in (("claim", "here", "measured"), ("---",) * 3, *rows))


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
    picture = figures / "figure4.png"
    if not picture.exists():
        raise UserError("readme: figure 4 has no results yet; python -m experiments run scaling tuned makes them")
    for path, content in ((README, filled(README.read_text()).encode()), (PICTURE, picture.read_bytes())):
        with atomic(path) as partial:
            partial.write_bytes(content)
