"""Write what starts each row of the paper's tables: a shell script to read, and to run line by line.

python -m dp plan --profile imagenet100 --table 4 --commands
"""

import re
from collections.abc import Sequence
from dataclasses import asdict

from dp.paper.plan import Plan
from dp.paper.row import Row, key, short
from dp.paper.rows import ROWS
from dp.utils.errors import UserError

GPUS_PER_NODE = 8
HEADINGS = {"in_v2": "V2", "in_sketch": "Sketch", "in_r": "R", "in_a": "A"}  # of `dp.paper.rows.Published`
VARIABLES = """\
# Set these; every command goes on where it stopped when it is given again.
#   RUNS             a folder that all nodes share; each run gets a folder in it
#   IMAGENET         ImageNet-1k, with train/ and val/
"""
AFTER = """\
# More seeds: --seed 1 and another folder. What has finished joins the figures: make figures RUNS="$RUNS"
"""


def folder_name(row: Row) -> str:
    """A folder's name for the run of a row: "4/static 130k" -> "4-static-130k"."""
    return re.sub(r"[^\w.]+", "-", key(row))


def is_run(row: Row) -> bool:
    """Return whether a row is started; prior work is not, and a branch comes with its run."""
    return not row.by_others and row.branch_of is None


def command(row: Row, gpus: int = 32) -> str:
    """The shell command that starts a row.

    Args:
        row: one that is a run.
        gpus: 1, 2, 4 or 8 on one node, or whole nodes of eight; they share a row's mini-batch evenly.

    Raises:
        UserError: they do not.
    """
    parts = row.config.parts
    if gpus < 1 or parts % gpus:
        raise UserError(f"gpus: got {gpus}, expected a number that divides {parts}, such as 8 or 32, with commands")
    if gpus <= GPUS_PER_NODE:
        launch = f"torchrun --standalone --nproc-per-node {gpus}"
    else:
        nodes = f"--nnodes {gpus // GPUS_PER_NODE} --nproc-per-node {GPUS_PER_NODE}"
        launch = f'torchrun {nodes} --rdzv-backend c10d --rdzv-endpoint "$HOST:29500"'
    generator = f' --pipeline "$PIPELINES/{_name(row.generator)}" --precision bfloat16' if row.generator else ""
    sets = [f'--ood.{name.lower()} "${_variable(name)}"' for name in _ood(row)]
    words = [
        f'{launch} -m dp run "$RUNS/{folder_name(row)}"',
        f'--row "{key(row)}" --imagenet "$IMAGENET"{generator}',
        "--storage.no-memory --storage.encoding JPEG",
        *([" ".join(sets)] if sets else []),
    ]
    return " \\\n    ".join(words)


def _name(generator: str) -> str:
    """A generator's name on the Hub, without its owner's."""
    return generator.rsplit("/", 1)[-1]


def _ood(row: Row) -> list[str]:
    """The out-of-distribution sets that the paper reports in a row's table, by heading."""
    table = [each.published for each in ROWS if (each.table, each.figure) == (row.table, row.figure)]
    return [heading for name, heading in HEADINGS.items() if any(getattr(each, name) is not None for each in table)]


def _variable(heading: str) -> str:
    return f"IMAGENET_{heading.upper()}"


def listing(rows: Sequence[Row], plans: Sequence[Plan], added: Sequence[float], gpus: int, machine: str) -> str:
    """The script: for every row what it costs, what was published, and the command or why there is none.

    Args:
        rows, plans: the rows and their plans.
        added: GPU-hours that each row adds to the others.
        gpus: how many; see `command`.
        machine: what the plans are for, in words.
    """
    lines = [f"# {len(rows)} rows of {rows[0].task}. Nothing is started by this list.", VARIABLES.rstrip()]
    generators = sorted({row.generator for row in rows if row.generator and is_run(row)})
    if generators:
        lines.append("#   PIPELINES        a folder with the generators, each fetched once:")
        for generator in generators:
            lines.append(f'#                    hf download {generator} --local-dir "$PIPELINES/{_name(generator)}"')
    for heading in dict.fromkeys(heading for row in rows if is_run(row) for heading in _ood(row)):
        lines.append(f"#   {_variable(heading):16} ImageNet-{heading}; where it is not there, leave its --ood out")
    if gpus > GPUS_PER_NODE:
        submitted = f"python -m dp submit --nodes {gpus // GPUS_PER_NODE} -- run"
        lines += [
            "#   HOST             the first node's name",
            f"# On SLURM, in place of torchrun ... run: {submitted}",
        ]
    if any(row.table == 5 for row in rows):
        lines.append("# Published accuracies on Sketch and R are those under table 5's headings, which look swapped.")
    lines += [AFTER.rstrip(), f"# Costs: {machine}; storage with the learners and checkpoints that a run keeps."]
    for row, each, hours in zip(rows, plans, added, strict=True):
        lines += ["", f"# {key(row)}", f"#   published: {_published(row)}"]
        if row.by_others:
            lines.append(f"#   {row.note}")
        elif row.branch_of is not None:
            run = next(other for other in rows if _is_branch(row, other))
            lines.append(f"#   a branch, comes with {key(run)}: {hours:,.0f} GPU-h, {short(each.images)} of its images")
        else:
            lines += [f"#   {note}" for note in (_cost(each, gpus), row.note) if note]
            lines.append(command(row, gpus))
    started = [each for row, each in zip(rows, plans, strict=True) if is_run(row)]
    branches = sum(row.branch_of is not None for row in rows)
    lines += [
        "",
        f"# total: {len(started)} runs{f' and {branches} branches' if branches else ''}, "
        f"{sum(added):,.0f} GPU-h ({sum(added) / gpus:,.0f} h on {gpus} GPUs), "
        f"{short(sum(map(_generated, started)))} images generated, "
        f"{sum(each.storage_bytes for each in started) / 1e9:,.0f} GB",
    ]
    return "\n".join(lines)


def _is_branch(row: Row, run: Row) -> bool:
    same = (row.table, row.config.n_initial, row.config.n_per_round)
    return run.images == row.branch_of and (run.table, run.config.n_initial, run.config.n_per_round) == same


def _published(row: Row) -> str:
    found = {name: value for name, value in asdict(row.published).items() if value is not None}
    if not found:
        return "as a picture only"
    values = [f"{found.pop('real_val'):.2f} % on real validation images"]
    if "real_train" in found:
        values.append(f"{found.pop('real_train'):.2f} on the held-out real training set")
    return ", ".join(values + [f"{value:g} on {HEADINGS[name]}" for name, value in found.items()])


def _generated(each: Plan) -> int:
    return each.plain_images + each.guided_images + each.candidates


def _cost(each: Plan, gpus: int) -> str:
    made = _generated(each)
    images = f"{short(made)} images generated" if made else f"{short(each.images)} real images"
    kept = f", {short(each.images)} kept" if made > each.images else ""
    return (
        f"{each.gpu_hours:,.0f} GPU-h ({each.gpu_hours / gpus:,.1f} h on {gpus} GPUs), {images}{kept}, "
        f"{each.storage_bytes / 1e9:,.0f} GB"
    )
