"""The rows of the paper's tables as settings (arXiv 2502.15588v1, tables 1 to 5, and the runs of figures 2 and 5).

A row is what the paper ran, its published accuracies, and what of it this repository does not reproduce. One file a
profile, `imagenet100` and `imagenet1k`, says what all of its rows share, what each costs and what was published. All
rows need Stable Diffusion's weights, ImageNet and many GPUs; `dp.paper.plan` counts what they cost.
"""

from dp.paper import imagenet1k, imagenet100
from dp.paper.row import BY_OTHERS, GENERATORS, NOT_STATED, SIDE, Method, Published, Row, Task

__all__ = [
    "BY_OTHERS",
    "FIGURES",
    "GENERATORS",
    "HELD_OUT_IMAGES",
    "NOT_STATED",
    "ROWS",
    "SIDE",
    "VALIDATION_IMAGES",
    "Method",
    "Published",
    "Row",
    "Task",
]

VALIDATION_IMAGES: dict[Task, int] = {each.TASK: each.VALIDATION_IMAGES for each in (imagenet100, imagenet1k)}
HELD_OUT_IMAGES: dict[Task, int] = {each.TASK: each.HELD_OUT_IMAGES for each in (imagenet100, imagenet1k)}
FIGURES: dict[Task, dict[int, tuple[Row, ...]]] = {each.TASK: each.FIGURES for each in (imagenet100, imagenet1k)}
ROWS: tuple[Row, ...] = (*imagenet100.ROWS, *imagenet1k.ROWS)
