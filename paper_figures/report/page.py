"""build/report.html: every figure and table, its caption, the published claims and what we measured. One file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dp.utils.files import atomic
from dp.utils.provenance import provenance
from experiments.verdicts import as_json, verdicts
from paper_figures.drawing.exhibit import FILES, Exhibit, Missing, Rows
from paper_figures.drawing.hover import Point
from paper_figures.drawing.published import heading as heading_of
from paper_figures.drawing.words import WORDS
from paper_figures.report.effort import full_scale
from paper_figures.report.in_short import effect, in_short
from paper_figures.report.sources import Source, remarks, source

CSS = Path(__file__).parent / "report.css"
QUESTIONS = "Questions that the paper leaves open"
TITLE = "Deliberate Practice: every figure beside the published numbers"
CLASSES = {
    "holds here": "holds",
    "holds in part": "part",
    "does not hold here": "not",
    "not decided here": "untested",
    "not tested here": "untested",
}
TYPES = {"csv": "text/csv", "tex": "text/x-tex", "md": "text/markdown"}
PIXELS_PER_INCH = 140  # of a picture on a wide screen
LONG = 25  # rows; a longer table scrolls

Shown = Exhibit | Missing


def write(path: Path, profile: str, parts: Mapping[str, Sequence[Shown]], figures: Path) -> None:
    """Write the report.

    Args:
        path: the HTML file.
        profile: whose results are shown.
        parts: heading -> its exhibits, in order of appearance.
        figures: folder with the exhibits' files.
    """
    claims = as_json(verdicts(profile))
    every = [each for found in parts.values() for each in found]
    body = [_claims(claims, {each.name: _link_text(each, profile) for each in every}), _answers(every)]
    for heading, found in parts.items():
        body.append(f"<h2>{escape(heading)}</h2>" + "".join(_section(each, figures, profile) for each in found))
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{TITLE}</title><style>{CSS.read_text()}</style></head>\n'
        f'<body><div class="page"><header>{_head(profile)}</header>{_contents(parts)}'
        f"<main>{''.join(body)}{_footer()}</main></div></body></html>\n"
    )
    with atomic(path) as partial:
        partial.write_text(text)


def _head(profile: str) -> str:
    scale = {
        "cpu": "Real images (Fashion-MNIST), a small latent-diffusion generator, small learners: a laptop's scale.",
        "smoke": "<b>Smoke profile: every run is far too short to compare methods; it shows that the chain works.</b>",
    }[profile]
    return (
        "<h1>Deliberate Practice</h1><p>Every figure and table that this repository reproduces of "
        "<i>Improving the Scaling Laws of Synthetic Data with Deliberate Practice</i> (arXiv 2502.15588), "
        f"measured here, beside the published numbers. {scale} Absolute accuracies of different data sets are not "
        "comparable; the shape of the curves and the sign of the differences are.</p><dl>"
        f"{''.join(f'<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>' for word, meaning in WORDS.items())}</dl>"
    )


def _contents(parts: Mapping[str, Sequence[Shown]]) -> str:
    lists = [f'<ol><li><a href="#claims">The paper\'s claims</a></li><li><a href="#answers">{QUESTIONS}</a></li></ol>']
    for heading, found in parts.items():
        items = "".join(map(_entry, found))
        lists.append(f"<strong>{escape(heading)}</strong><ol>{items}</ol>")
    return f'<nav aria-label="Contents">{"".join(lists)}</nav>'


def _short(exhibit: Shown) -> tuple[str, str]:
    """What names an exhibit among others, and the rest of its title; of a question all names it."""
    short, colon, rest = exhibit.title.partition(":")
    rest = rest.strip()
    return (rest[:1].upper() + rest[1:], "") if short == "Question" else (short, f"{colon} {rest}")


def _link_text(exhibit: Shown, profile: str) -> str:
    """What a claim calls an exhibit; a claim whose results are absent or stale must not look as sure as another."""
    remarked = any(remarks([source(study, profile)]) for study in exhibit.studies)
    return _short(exhibit)[0] + " (see the remarks there)" * remarked


def _entry(exhibit: Shown) -> str:
    short, rest = _short(exhibit)
    of_class = ' class="absent"' if isinstance(exhibit, Missing) else ""
    return f'<li{of_class}><a href="#{exhibit.name}">{escape(short)}<span>{escape(rest)}</span></a></li>'


def _claims(found: Rows, shown: dict[str, str]) -> str:
    lines = []
    for each in found:
        links = ", ".join(f'<a href="#{name}">{escape(shown[name])}</a>' for name in each["shown_in"] if name in shown)
        lines.append(
            f'<tr><td>{each["id"]}</td><td class="{CLASSES[each["verdict"]]}">{each["verdict"]}</td>'
            f'<td class="words">{escape(each["claim"])}</td><td class="words">{escape(each["measured"])}</td>'
            f"<td>{effect(each)}</td><td>{each['seeds'] or ''}</td><td>{links}</td></tr>"
        )
    heads = ("", "verdict", "published", "measured here", "effect (95% interval)", "seeds", "shown in")
    lines_in_short = "".join(f"<li>{escape(line)}</li>" for line in in_short(found))
    words = f"<ul>{lines_in_short}</ul>" if lines_in_short else ""
    return (
        f'<section id="claims"><h2>The paper\'s claims</h2>{words}'
        '<p class="caption">Equal settings: one guidance scale and one set of settings for all methods, as the paper '
        "compares; tuned: each method at the settings that its own search found. A verdict says whether the statement "
        "holds at this scale, on these images. It is computed from the results by the rules in experiments/verdicts: "
        "an effect, its 95% interval over seeds (Student's t; of ratios, and of the best of several sizes, by draws, "
        "in each of which the best is chosen anew; a ratio has no upper end where the smallest size of DP may do) and "
        "the number of runs of each kind behind it. In part: "
        "some parts of a claim (learners, settings) hold, others do not or are not decided. Not "
        "decided: intervals have both in them. C6 is counted for "
        "Stable Diffusion 1.5 and C13 computed; C7 to C11 are at the equal settings unless they say tuned. As JSON: "
        "<code>python -m experiments verdicts --json</code></p>"
        f"{_scroll('Claims', _table(heads, lines, 'claims'))}</section>"
    )


def _answers(found: Sequence[Shown]) -> str:
    """Every question with its answer."""
    lines = [
        f'<dt><a href="#{each.name}">{escape(_short(each)[0])}</a></dt><dd>{escape(_sentence(each.answer))}</dd>'
        for each in found
        if isinstance(each, Exhibit) and each.answer
    ]
    return (
        f'<section id="answers"><h2>{QUESTIONS}</h2><p class="caption">Answers are computed from the results.</p>'
        f'<dl class="answers">{"".join(lines) or "<dt>None yet.</dt><dd></dd>"}</dl></section>'
    )


def _sentence(answer: str) -> str:
    return answer[:1].upper() + answer[1:]


def _section(exhibit: Shown, figures: Path, profile: str) -> str:
    sources = [source(study, profile) for study in exhibit.studies]
    parts = [f"<h3>{escape(exhibit.title)}</h3>"]
    if isinstance(exhibit, Exhibit) and exhibit.answer:
        parts.append(f'<p class="answer"><strong>Answer:</strong> {escape(_sentence(exhibit.answer))}</p>')
    parts += [f'<p class="remark">{escape(each)}</p>' for each in remarks(sources)]
    if isinstance(exhibit, Missing):
        parts.append(f'<p class="untested">not made yet: {escape(exhibit.why)}</p>')
    else:
        if exhibit.figure is not None:
            parts.append(_picture(exhibit, figures))
        if exhibit.table is not None:
            parts.append(_rows(exhibit.table, exhibit.title))
        parts.append(f'<p class="caption">{escape(exhibit.caption)}</p>')
    parts += [_published(exhibit), _origin(exhibit, sources, figures)]
    return f'<section id="{exhibit.name}">{"".join(parts)}</section>'


def _picture(exhibit: Exhibit, figures: Path) -> str:
    assert exhibit.figure is not None
    data = base64.b64encode((figures / f"{exhibit.name}.png").read_bytes()).decode()
    width = round(PIXELS_PER_INCH * exhibit.figure.get_figwidth())
    alt = f"{exhibit.title}. {exhibit.description}"
    return (
        f'<div class="pan" tabindex="0" role="region" aria-label="{escape(exhibit.title)} (picture)">'
        f'<div class="figure"><img width="{width}" alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f"{''.join(map(_spot, exhibit.points))}</div></div>"
    )


def _spot(point: Point) -> str:
    place = f"left:{100 * point.left:.2f}%;top:{100 * point.top:.2f}%"
    return f'<i aria-hidden="true" style="{place}" title="{escape(point.text)}"></i>'


def _published(exhibit: Shown) -> str:
    lines = [f"<p class=caption>{escape(line)}</p>" for line in full_scale(exhibit.name)]
    if not exhibit.published:
        return f"<h4>At the paper's scale</h4>{''.join(lines)}" if lines else ""
    heading = "Published, and measured at the paper's scale" if exhibit.measured else "Published"
    measured = f'<p class="caption">{escape(exhibit.measured)}</p>' if exhibit.measured else ""
    rows = [{heading_of(name): value for name, value in row.items()} for row in exhibit.published]
    return f"<h4>{heading}</h4>{_rows(rows, f'{exhibit.title}: published')}{measured}{''.join(lines)}"


def _origin(exhibit: Shown, sources: Sequence[Source], figures: Path) -> str:
    """Commands, result files and commits; and the exhibit's numbers to save."""
    lines = []
    for each in sources:
        if not each.folders:
            lines.append(f"<li><code>{escape(each.command)}</code></li>")
            continue
        count = f"{each.present} of {each.expected} results" if each.expected else "a run"
        commits = f"; made at commit {', '.join(each.commits)}" if each.commits else ""
        hours = f", {each.seconds / 3600:.1f} core-hours" if each.seconds > 360 else ""
        where = ", ".join(f"<code>{escape(folder)}</code>" for folder in each.folders)
        lines.append(f"<li><code>{escape(each.command)}</code>: {count} in {where}{hours}{commits}</li>")
    if isinstance(exhibit, Exhibit):
        lines.append(f"<li>these numbers: {', '.join(_link(figures / name) for name in _files(exhibit, figures))}</li>")
    return f"<details><summary>Where the numbers come from</summary><ul>{''.join(lines)}</ul></details>"


def _files(exhibit: Exhibit, figures: Path) -> list[str]:
    names = [f"{exhibit.name}.{suffix}" for suffix in FILES]
    return [name for name in names if (figures / name).exists() and name.split(".")[-1] in TYPES]


def _link(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    kind = TYPES[path.suffix[1:]]
    return f'<a download="{path.name}" href="data:{kind};base64,{data}">{path.name}</a>'


def _rows(rows: Rows, label: str) -> str:
    lines = ["<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>" for row in rows]
    return _scroll(label, _table(list(rows[0]), lines), len(rows) > LONG)


def _table(heads: Sequence[str], lines: Sequence[str], look: str = "") -> str:
    # A heading may not be empty.
    cells = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in heads)
    of_class = f' class="{look}"' if look else ""
    return f"<table{of_class}><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _scroll(label: str, table: str, long: bool = False) -> str:
    # Focusable, so that it can be scrolled with the keyboard.
    look = "scroll long" if long else "scroll"
    return f'<div class="{look}" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return escape(f"{value:,}" if isinstance(value, int) else str(value))


def _footer() -> str:
    made = provenance()
    return (
        f"<footer>Drawn {made['date']} from commit {made['commit'] or 'unknown'}"
        f"{' with uncommitted changes' if made['uncommitted_changes'] else ''}; "
        f"Python {made['python']}, {', '.join(f'{k} {v}' for k, v in made['packages'].items() if v)}; "
        f"{made['hardware']['cpu']}, {made['hardware']['cores']} cores. Every result file says what made it: commit, "
        "configuration, seeds, versions, hardware, seconds.</footer>"
    )
