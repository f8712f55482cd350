"""build/report.html: every figure and table, its caption, the published claims and what was measured. One file.

This module gathers what is shown; template.html lays it out, report.css beside it is its look.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dp.generation import pool_map
from dp.utils.files import atomic
from dp.utils.provenance import provenance
from experiments.verdicts import as_json, verdicts
from paper_figures.drawing.exhibit import FILES, Exhibit, Missing, Rows
from paper_figures.drawing.published import heading as heading_of
from paper_figures.drawing.words import WORDS
from paper_figures.report.claims import KINDS, answer, parts, tally
from paper_figures.report.effort import full_scale
from paper_figures.report.look import growth, guidance_frames
from paper_figures.report.sources import Source, remarks, source

SLIDERS = Path(pool_map.__file__).with_name("sliders.js")
HERE = Path(__file__).parent
TITLE = "Deliberate Practice: every figure beside the published numbers"
OPENING = (
    "Deliberate Practice (DP) trains a classifier on generated images alone and, whenever training stalls, adds images "
    "that the learner itself finds hard (<i>Improving the Scaling Laws of Synthetic Data with Deliberate Practice</i>, "
    "arXiv 2502.15588)."
)
SCALE = (
    "Measured at a laptop's scale, on Fashion-MNIST with a small latent-diffusion generator: compare the shape of "
    "curves and the sign of differences with the published ones, not accuracies."
)
TYPES = {"csv": "text/csv", "tex": "text/x-tex", "md": "text/markdown"}
PIXELS_PER_INCH = 140  # of a picture on a wide screen
MANY = 12  # rows; a longer table is folded
LONG = 90  # characters; a longer cell is folded
AXIS = [(10, "¼", "-5"), (25, "1", "0"), (40, "4", "+5"), (55, "16", "+10"), (70, "64", "+15"), (85, "256", "+20")]
TWINS = {"figure10": ("figure12",)}  # an exhibit that stands for more than one figure of the paper

Shown = Exhibit | Missing


def write(path: Path, profile: str, found: Mapping[str, Sequence[Shown]], figures: Path) -> None:
    """Write the report.

    Args:
        path: the HTML file.
        profile: whose results are shown.
        found: heading -> its exhibits, in order of appearance.
        figures: folder with the exhibits' files.
    """
    text = rendered(profile, found, figures, as_json(verdicts(profile)))
    with atomic(path) as partial:
        partial.write_text(text)


def rendered(profile: str, found: Mapping[str, Sequence[Shown]], figures: Path, claims: Rows) -> str:
    """Return the page.

    Args:
        profile, found, figures: as in `write`.
        claims: as `experiments.verdicts.as_json` lists them.
    """
    every = {each.name: each for exhibits in found.values() for each in exhibits}
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("template.html").render(
        title=TITLE,
        css=(HERE / "report.css").read_text(),
        loop=(HERE / "loop.svg").read_text(),
        script=SLIDERS.read_text(),
        opening=f"{OPENING} {answer(claims)} {SCALE}",
        smoke=profile == "smoke",
        tally=tally(claims),
        claims=[_claim(each, every, profile) for each in claims],
        axis=AXIS,
        words=WORDS,
        grid=guidance_frames(profile),
        growth=growth(),
        parts=[_part(heading, exhibits, claims, figures, profile) for heading, exhibits in found.items()],
        many=MANY,
        long=LONG,
        footer=_footer(),
    )


def _claim(claim: dict[str, Any], every: Mapping[str, Shown], profile: str) -> dict[str, Any]:
    rows = []
    for part in parts(claim):
        own = part.verdict != claim["verdict"]
        drawn = any(each is not None for each in (part.value, part.low, part.paper))
        word = part.verdict.removesuffix(" here") if own else ""
        rows.append(vars(part) | {"kind": KINDS[part.verdict], "drawn": drawn, "word": word})
    links = [
        {"name": name, "text": _link_text(every[name], profile)} for name in claim["shown_in"] if name in every
    ]  # a claim whose results are absent or stale must not look as sure as another
    return {
        "id": claim["id"],
        "claim": claim["claim"],
        "verdict": claim["verdict"],
        "kind": KINDS[claim["verdict"]],
        "parts": rows,
        "links": links,
    }


def _part(heading: str, exhibits: Sequence[Shown], claims: Rows, figures: Path, profile: str) -> dict[str, Any]:
    entries = []
    for each in exhibits:
        short, rest = _short(each)
        entry = {"name": each.name, "short": short, "rest": rest, "absent": isinstance(each, Missing)}
        if each.name in TWINS:  # found under its own number as well
            _, twin = short.removeprefix("Figures ").split(" and ")
            entries += [entry | {"short": f"Figure {short.split()[1]}"}, entry | {"short": f"Figure {twin}"}]
        else:
            entries.append(entry)
    return {
        "heading": heading,
        "id": heading.lower().replace(" ", "-").replace("'", ""),
        "entries": entries,
        "sections": [_section(each, claims, figures, profile) for each in exhibits],
    }


def _short(exhibit: Shown) -> tuple[str, str]:
    """Return what names an exhibit among others, and the rest of its title; all of a question names it."""
    short, colon, rest = exhibit.title.partition(":")
    rest = rest.strip()
    return (_sentence(rest), "") if short == "Question" else (short, f"{colon} {rest}")


def _link_text(exhibit: Shown, profile: str) -> str:
    remarked = any(remarks([source(study, profile)]) for study in exhibit.studies)
    short = exhibit.name.replace("_", " ") if exhibit.title.startswith("Question") else _short(exhibit)[0]
    return short + " (see the remarks there)" * remarked


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _section(exhibit: Shown, claims: Rows, figures: Path, profile: str) -> dict[str, Any]:
    sources = [source(study, profile) for study in exhibit.studies]
    made = exhibit if isinstance(exhibit, Exhibit) else None
    first, _, more = (made.caption if made else "").partition(". ")
    return {
        "name": exhibit.name,
        "aliases": TWINS.get(exhibit.name, ()),
        "title": _sentence(exhibit.title.removeprefix("Question: ")),
        "answer": f"{_sentence(made.answer.rstrip('.'))}." if made and made.answer else "",
        "claims": [
            {"id": each["id"], "claim": each["claim"], "verdict": each["verdict"], "kind": KINDS[each["verdict"]]}
            for each in claims
            if exhibit.name in each["shown_in"]
        ],
        "remarks": remarks(sources),
        "absent": exhibit.why if isinstance(exhibit, Missing) else "",
        "picture": _picture(made, figures) if made and made.figure is not None else None,
        "table": _table(made.table, made.title) if made and made.table else None,
        "caption": f"{first}." if more else first,
        "more": more,
        "published": _published(exhibit),
        "scale": full_scale(exhibit.name),
        "origin": [_origin(each) for each in sources],
        "files": _files(made, figures) if made else [],
    }


def _picture(exhibit: Exhibit, figures: Path) -> dict[str, Any]:
    assert exhibit.figure is not None
    return {
        "width": round(PIXELS_PER_INCH * exhibit.figure.get_figwidth()),
        "alt": f"{exhibit.title}. {exhibit.description}",
        "data": _base64(figures / f"{exhibit.name}.png"),
        "points": exhibit.points,
    }


def _published(exhibit: Shown) -> dict[str, Any] | None:
    """Return the paper's rows."""
    if not exhibit.published:
        return None
    rows = [{heading_of(name): value for name, value in row.items()} for row in exhibit.published]
    summary = "Published, and measured at the paper's scale" if exhibit.measured else "Published"
    return {
        "summary": f"{summary} ({len(rows)} rows)",
        "table": _table(rows, f"{exhibit.title}: published"),
        "measured": exhibit.measured,
    }


def _table(rows: Rows, label: str) -> dict[str, Any]:
    return {"label": label, "heads": list(rows[0]), "rows": [list(map(_cell, row.values())) for row in rows]}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else str(value).replace(" ± ", "\u00a0±\u00a0")


def _origin(found: Source) -> dict[str, str]:
    """Return the command that makes a study's results, and which result files and commits those are."""
    if not found.folders:
        return {"command": found.command, "said": ""}
    count = f"{found.present} of {found.expected} results" if found.expected else "a run"
    first, *others = found.commits or ("",)
    commits = f"; made at commit {first}{f' and {len(others)} more' * bool(others)}" if first else ""
    hours = f", {found.seconds / 3600:.1f} core-hours" if found.seconds > 360 else ""
    return {"command": found.command, "said": f"{count} in {', '.join(found.folders)}{hours}{commits}"}


def _files(exhibit: Exhibit, figures: Path) -> list[dict[str, str]]:
    """Return the exhibit's numbers, to save."""
    paths = [figures / f"{exhibit.name}.{suffix}" for suffix in FILES if suffix in TYPES]
    return [
        {"name": path.name, "kind": TYPES[path.suffix[1:]], "data": _base64(path)} for path in paths if path.exists()
    ]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _footer() -> str:
    made = provenance()
    return (
        f"Drawn {made['date']} from commit {made['commit'] or 'unknown'}"
        f"{' with uncommitted changes' if made['uncommitted_changes'] else ''}; "
        f"Python {made['python']}, {', '.join(f'{k} {v}' for k, v in made['packages'].items() if v)}; "
        f"{made['hardware']['cpu']}, {made['hardware']['cores']} cores. Every result file says what made it."
    )
