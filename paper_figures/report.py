"""build/report.html: every figure and table, its caption, the published claims and what we measured. One file."""

import base64
from html import escape
from pathlib import Path
from typing import Any

from dp.provenance import provenance
from experiments.verdicts import as_json, verdicts
from paper_figures.exhibit import Exhibit, Missing, Rows

CSS = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { line-height: 1.2; } h2 { margin-top: 3rem; } img { max-width: 100%; }
.caption { color: #444; font-size: .92rem; max-width: 52rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th { border-bottom: 2px solid #888; } .claims td, .claims th { text-align: left; }
.holds { color: #00724f; font-weight: 600; } .part { color: #7a5c00; font-weight: 600; }
.not { color: #b14a00; font-weight: 600; } .untested { color: #777; }
footer { margin-top: 3rem; font-size: .85rem; color: #666; }
"""


def write(path: Path, profile: str, exhibits: list[Exhibit | Missing], figures: Path) -> None:
    """Write the report.

    Args:
        path: the HTML file.
        profile: whose results are shown.
        exhibits: in order of appearance.
        figures: folder with the exhibits' PNG files.
    """
    parts = [_head(profile), _claims(as_json(verdicts(profile)))]
    parts += [_section(exhibit, figures) for exhibit in exhibits]
    made = provenance()
    parts.append(
        f"<footer>Drawn {made['date']} from commit {made['commit'] or 'unknown'}"
        f"{' with uncommitted changes' if made['uncommitted_changes'] else ''}; "
        f"Python {made['python']}, {', '.join(f'{k} {v}' for k, v in made['packages'].items() if v)}; "
        f"{made['hardware']['cpu']}, {made['hardware']['cores']} cores. Every result file says what made it.</footer>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    title = "Deliberate Practice: every figure beside the published numbers"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{CSS}</style>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _head(profile: str) -> str:
    scale = {
        "cpu": "Real images (Fashion-MNIST), a small latent-diffusion generator, small learners: a laptop's scale.",
        "smoke": "<b>Smoke profile: every run is far too short to compare methods; it shows that the chain works.</b>",
    }[profile]
    return (
        "<h1>Deliberate Practice</h1><p>Every figure and table that this repository reproduces of "
        "<i>Improving the Scaling Laws of Synthetic Data with Deliberate Practice</i> (arXiv 2502.15588), "
        f"measured here, beside the published numbers. {scale} Absolute accuracies of different data sets are not "
        "comparable; the shape of the curves and the sign of the differences are.</p>"
    )


def _claims(found: Rows) -> str:
    look = {"holds here": "holds", "holds in part": "part", "does not hold here": "not", "not tested here": "untested"}
    rows = [
        f"<tr><td>{each['id']}</td><td>{escape(each['claim'])}</td><td>{escape(each['measured'])}</td>"
        f"<td>{_effect(each)}</td><td>{each['seeds'] or ''}</td>"
        f'<td class="{look[each["verdict"]]}">{each["verdict"]}</td></tr>'
        for each in found
    ]
    return (
        "<h2>The paper's claims</h2>"
        '<p class="caption">A verdict says whether the statement holds at this scale, on these images. It is computed '
        "from the results by the rules in experiments/verdicts.py: an effect, its 95% bootstrap interval over seeds, "
        "and the number of runs of each kind behind it. The same as JSON: python -m experiments verdicts --json.</p>"
        '<div class="scroll"><table class="claims"><tr><th></th><th>published</th><th>measured here</th>'
        "<th>effect (95% interval)</th><th>seeds</th><th>verdict</th></tr>"
        f"{''.join(rows)}</table></div>"
    )


def _effect(verdict: dict[str, Any]) -> str:
    if verdict["verdict"] == "not tested here":
        return ""
    effect = "never reached" if verdict["effect"] is None else f"{verdict['effect']:.3g}"
    low, high = verdict["interval"] or (None, None)
    # Theory has neither seeds nor an interval.
    return effect if low is None or low == high == verdict["effect"] else f"{effect} ({low:.3g} to {high:.3g})"


def _section(exhibit: Exhibit | Missing, figures: Path) -> str:
    heading = f"<h2>{escape(exhibit.title)}</h2>"
    if isinstance(exhibit, Missing):
        why = f'<p class="untested">not made yet: {escape(exhibit.why)}</p>'
        return f'<section id="{exhibit.name}">{heading}{why}{_published(exhibit)}</section>'
    body = ""
    if exhibit.figure is not None:
        data = base64.b64encode((figures / f"{exhibit.name}.png").read_bytes()).decode()
        body += f'<img alt="{escape(exhibit.title)}" src="data:image/png;base64,{data}">'
    if exhibit.table is not None:
        body += _table(exhibit.table)
    caption = f'<p class="caption">{escape(exhibit.caption)}</p>'
    files = f'<p class="caption">Numbers: build/figures/{exhibit.name}.csv</p>'
    return f'<section id="{exhibit.name}">{heading}{body}{caption}{_published(exhibit)}{files}</section>'


def _published(exhibit: Exhibit | Missing) -> str:
    if not exhibit.published:
        return ""
    heading, caption = "Published", ""
    if exhibit.measured:
        heading = "Published, and measured at the paper's scale"
        caption = f'<p class="caption">{escape(exhibit.measured)}</p>'
    return f"<h3>{heading}</h3>{_table(exhibit.published)}{caption}"


def _table(rows: Rows) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{lines}</table></div>'


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return escape(f"{value:,}" if isinstance(value, int) else str(value))
