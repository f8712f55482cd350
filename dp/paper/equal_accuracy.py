"""Static data, DP and generate-then-prune at the same published accuracy: what each has cost, counted."""

from dataclasses import dataclass, replace
from typing import Any

from dp.guidance.guidance import GuidanceConfig
from dp.paper.plan import plan, rows_of
from dp.paper.row import Row, Task

# As the paper reports them: a guided image over a plain one in wall time, and pruning over guidance at equal accuracy.
PUBLISHED_GUIDED_OVER_PLAIN = 1.82
PUBLISHED_PRUNE_OVER_DP = 5.0
# The over-sampling at which pruning reaches DP's accuracy, as these two have it.
EQUAL_OVER_SAMPLING = PUBLISHED_PRUNE_OVER_DP * PUBLISHED_GUIDED_OVER_PLAIN


@dataclass(frozen=True)
class Case:
    """Two rows of a scaling table that reach the same accuracy."""

    claim: str
    static_images: int  # has the published accuracy of the smallest static row of no fewer images
    dp_images: int


CASES: dict[Task, tuple[Case, ...]] = {
    "imagenet100": (
        Case("7.5x less data (text: 400k images reach static's 3M)", 3_000_000, 416_000),
        Case("by table 4: the smallest DP row above the best static row", 4_000_000, 128_000),
    ),
    "imagenet1k": (Case("20x less data (640k images beat static's 13M)", 13_000_000, 640_000),),
}


def pruned(row: Row, ratio: float) -> Row:
    """A DP row with as many additions, chosen by pruning at an over-sampling ratio above 1 instead."""
    plain = GuidanceConfig(omega=0.0)
    return replace(row, method="prune", config=replace(row.config, guidance=plain, over_sampling=ratio))


def comparison(profile: Task, **settings: Any) -> list[dict[str, Any]]:
    """Static, DP and generate-then-prune at equal published accuracy: counted costs.

    Pruning's accuracies are published as a picture only. Its lines have the DP row's additions chosen by pruning, at
    the over-sampling that follows from what is published: 5x DP's cost, a guided image being 1.82 plain ones.

    Args:
        profile: "imagenet100" or "imagenet1k".
        settings: of `plan`.
    """
    lines = []
    table = [row for row in rows_of(profile) if row.table in (4, 5)]
    for case in CASES[profile]:
        dp = next(row for row in table if row.method == "DP" and row.images == case.dp_images)
        static = next(row for row in table if row.method == "static" and row.images >= case.static_images)
        accuracy = {"static": static.published.real_val, "DP": dp.published.real_val, "prune": None}
        static = replace(static, config=replace(static.config, n_initial=case.static_images))
        plans = {row.method: plan(row, **settings) for row in (static, dp, pruned(dp, EQUAL_OVER_SAMPLING))}
        for method, each in plans.items():
            lines.append(
                {
                    "claim": case.claim,
                    "method": method,
                    "over_sampling": EQUAL_OVER_SAMPLING if method == "prune" else None,
                    "images": each.images,
                    "generated": each.plain_images + each.guided_images + each.candidates,
                    "published": accuracy[method],
                    "generation_gpu_hours": each.generation_gpu_hours,
                    "gpu_hours": each.gpu_hours,
                    "images_over_dp": each.images / plans["DP"].images,
                    "generation_over_dp": each.generation_flop / plans["DP"].generation_flop,
                    "gpu_hours_over_dp": each.gpu_hours / plans["DP"].gpu_hours,
                }
            )
    return lines
