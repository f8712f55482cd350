"""Say what an exhibit at the paper's scale would take: runs, GPU-hours, and the command that lists them."""

import re
from typing import Final, get_args

from dp.paper.launch_script import folder_name
from dp.paper.plan import added_gpu_hours, plan, rows_of
from dp.paper.row import Task, key
from dp.utils.errors import UserError

GPU: Final = "H100"
UTILISATION = 0.35
# What these show is made from the images and learners of a run, of which no numbers are published.
DRAWN = {"figure6_left", "figure6_right", "figure8", "figure10", "figure11", "figure13"}
RUN = "4/DP 64k + 18 x 32k"


def full_scale(name: str) -> list[str]:
    """One line for each of the paper's data sets that the exhibit has runs of; none for what is theory or our own.

    Args:
        name: of an exhibit, such as "table4" or "figure6_left".
    """
    found = re.fullmatch(r"(table|figure)(\d+)(_\w+)?", name)
    if found is None:
        return []
    kind, number = found[1], int(found[2])
    lines = []
    for task in get_args(Task):
        try:
            rows = rows_of(task, **{kind: number})
        except UserError:
            continue
        hours = sum(added_gpu_hours(row, plan(row, GPU, UTILISATION)) for row in rows)
        runs = sum(not row.by_others and row.branch_of is None for row in rows)
        lines.append(
            f"make {kind}{number} PROFILE={task} lists the commands and starts nothing: {runs} runs, about "
            f"{hours:,.0f} GPU-hours on {GPU} at {UTILISATION:.0%} of its peak."
        )
    if name in DRAWN:
        row = next(each for each in rows_of("imagenet100", table=4) if key(each) == RUN)
        hours = plan(row, GPU, UTILISATION).gpu_hours
        lines.append(
            f'make table4 PROFILE=imagenet100 lists the command of its run "{RUN}" (about {hours:,.0f} GPU-hours on '
            f'{GPU}); after it python -m dp grid "$RUNS/{folder_name(row)}", and make figures RUNS="$RUNS" draws both '
            "at the end of this report. No numbers of it are published."
        )
    return lines
