"""Captions and marks follow from the numbers, whichever way they point."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt

from experiments.analysis import intervals
from experiments.engine import results
from experiments.paths import ROOT
from experiments.verdicts import as_json, verdicts
from experiments.verdicts.verdict import of_all
from paper_figures.drawing.exhibit import Missing, make_all
from paper_figures.drawing.hover import describe, points
from paper_figures.drawing.shared import seeds, spread
from paper_figures.drawing.variants import Variant, clear
from paper_figures.exhibits import exhibits
from paper_figures.exhibits.figure1 import bars
from paper_figures.exhibits.figure6_left import trajectory
from paper_figures.exhibits.figure9 import pairs
from paper_figures.exhibits.length import answer
from paper_figures.exhibits.table1 import chosen
from paper_figures.exhibits.table5 import compare
from paper_figures.report.claims import _ratio, parts, place, tally
from paper_figures.report.look import on_a_grid

EXHIBITS = exhibits()
STATIC = {100: [70.0, 72.0], 400: [80.0, 82.0], 1600: [79.0, 81.0]}


def test_best_bars_and_the_smallest_dp_that_is_better():
    won = bars(STATIC, {50: [75.0], 200: [82.0, 82.2], 800: [84.0]})
    assert {name: bar["images"] for name, bar in won.items()} == {
        "static, best": 400,
        "DP, smallest that is better": 200,
        "DP, best": 800,
    }
    assert won["static, best"]["accuracy"] == 81 and won["static, best"]["margin"] == pytest.approx(12.706, abs=0.001)
    assert "DP, smallest that is better" not in bars(STATIC, {50: [75.0], 200: [81.0]})


def test_equivalent_sizes_that_are_not_reached():
    static = {100: [70.99, 71.01], 400: [80.99, 81.01], 1600: [79.99, 80.01]}
    below, above = compare(static, {200: [71.0, 71.0], 300: [90.0, 90.0]})
    assert below["static images as good"] == 100 and below["fewer"] == 0.5
    assert (above["static images as good"], above["fewer"], above["95% interval"]) == (
        "not reached",
        None,
        "not reached",
    )


def test_trajectories_pool_additions_by_their_images():
    error = [[100.0, 60.0, None], [50.0, 100.0, None], [40.0, 90.0, None]]
    found = {
        row["distance"]: row["error"]
        for row in trajectory({"hardness": {"misclassified": [10, 30, 0], "error": error}})
    }
    assert found == {-1: 60, 0: 100, 1: pytest.approx((10 * 50 + 30 * 90) / 40), 2: 40}


def variant(name: str, accuracies: list[float]) -> Variant:
    runs = {seed: {"test_accuracy": each} for seed, each in enumerate(accuracies)}
    return Variant(name, "black", runs)


def test_of_many_equal_variants_none_is_named_and_a_better_one_is():
    rng, base = np.random.default_rng(0), variant("DP", [80.1, 79.9, 80.0])
    noise = [variant(f"noise {i}", list(80 + 0.1 * rng.standard_normal(3))) for i in range(20)]
    assert "none differs from DP" in clear(noise, base)
    said = clear([*noise, variant("better", [81.0, 81.1, 81.0])], base)
    assert said.startswith("better than DP: better;") and "noise" not in said and "20 others" in said


LOW, HIGH = [80.0, 80.1, 80.2], [82.0, 82.1, 82.2]


@pytest.mark.parametrize(
    ("static", "dp", "changes", "ahead"),
    [
        ((LOW, LOW), (HIGH, HIGH), "no", ("DP", "DP")),
        ((LOW, HIGH), (HIGH, LOW), "yes", ("DP", "static training")),
        ((LOW, HIGH), (LOW, LOW), "not decided", ("neither", "static training")),
        ((LOW, LOW), (HIGH, LOW), "not decided", ("DP", "neither")),
    ],
)
def test_who_is_ahead_at_either_length(static, dp, changes, ahead):
    said = answer(*(dict(zip((60, 160), curve, strict=True)) for curve in (static, dp)))
    at = "{} at 60 iterations and {} at 160".format(*ahead)
    assert said.startswith(f"{changes}; ahead beyond the 95% interval is {at} (")


def test_longer_training_is_compared_within_a_method_and_one_seed_decides_nothing():
    said = answer({60: LOW, 160: HIGH}, {60: LOW, 160: LOW})
    assert "static, in points: +0.00 (95% -0.23 to +0.23); -2.00 (95% -2.23 to -1.77)). " in said
    assert said.endswith(
        "training, in points: static training +2.00 (95% +1.77 to +2.23); DP +0.00 (95% -0.23 to +0.23)."
    )
    alone = answer({60: [80.0], 160: [80.0]}, {60: [82.0], 160: [82.0]})
    assert alone.startswith("not decided; ") and "in points: +2.00 (one seed, no interval);" in alone


def row(method: str, size: int, seed: int, accuracy: float = 80.0, branch: int | None = None) -> dict:
    return {"method": method, "images": size, "seed": seed, "test_accuracy": accuracy, "branch_iteration": branch}


def test_pairs_leave_out_seeds_that_only_one_side_has():
    rows = [
        row("static", 80, 0, 70.0),
        row("static", 80, 2, 72.0),
        row("omega = 0", 80, 1),
        row("omega = 0", 80, 2, 75.0),
    ]
    [only] = pairs("equal", "vit", rows)
    assert (only["seed"], only["difference"]) == (2, 3.0)


def test_an_interval_is_drawn_on_one_scale_and_never_reached_has_no_dot():
    never = _ratio("", {"ratio": None, "interval": [0.0, 1.1]}, None)
    assert (never.measured, never.value, never.low) == ("never reached (from never up to 1.1)", None, 0)
    lower = _ratio("", {"ratio": 4.0, "interval": [2.0, None], "at_least": True}, True, 16)
    assert lower.measured == "4.0 times or more (2.0 or more)" and (lower.value, lower.high, lower.paper) == (
        40,
        100,
        55,
    )
    assert place(1, "x") == place(0, "points") == 25 and place(-100, "points") == 0 and place(5, "points") == 40


def test_the_parts_of_a_claim_give_its_verdict(monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 100)  # the same rules, whatever the intervals
    found = as_json(verdicts("cpu"))
    back = {
        "holds here": [True],
        "does not hold here": [False],
        "not decided here": [None],
        "holds in part": [True, None],
    }
    for claim in found:
        listed = parts(claim)
        assert of_all([each for part in listed for each in back[part.verdict]]) == claim["verdict"], claim["id"]
        assert all(part.measured for part in listed)
    assert sum(int(words.split()[0]) for _, words in tally(found)) == len(found) == 13


def test_images_of_a_map_lie_in_places_of_their_own_near_their_points():
    rng = np.random.default_rng(0)
    points_ = rng.normal(size=(60, 2))
    places, across, down = on_a_grid(points_)
    assert len({tuple(place) for place in places}) == 60 and places.min() == 0
    assert places[:, 0].max() < across and places[:, 1].max() < down
    for axis in (0, 1):
        assert np.corrcoef(points_[:, axis], places[:, axis])[0, 1] > 0.9


def test_table1_takes_the_size_of_pruning_and_the_largest():
    rows = [row(m, n, 0) for m in ("static", "DP") for n in (10, 80, 160)] + [row("prune", 80, 0)]
    found = [(each["method"], each["images"]) for each in chosen(rows)]
    assert found == [("static", 80), ("static", 160), ("prune", 80), ("DP", 80), ("DP", 160)]


def test_words():
    assert seeds([3, 3]) == "3 seeds" and seeds([1]) == "1 seed" and seeds([2, 5]) == "2 to 5 seeds"
    assert spread([1.0, 3.0]) == "2.00 ± 12.71" and spread([1.0]) == "1.00" and spread([None]) is None


def test_without_results_every_exhibit_says_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path / profile)
    found = make_all(EXHIBITS.values(), "cpu")
    assert [each.name for each in found] == list(EXHIBITS)
    assert all(isinstance(each, Missing) and "python -m experiments" in each.why for each in found)


def test_the_theory_is_drawn_without_torch():
    for module in ("paper_figures.exhibits.figure3", "paper_figures.exhibits.theory_phase"):
        command = [sys.executable, "-X", "importtime", "-m", module]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert "matplotlib" in imported and "torch" not in imported


def test_hovering_names_the_row_or_the_series_and_leaves_out_caps():
    figure, (rows, numbers) = plt.subplots(1, 2)
    rows.errorbar([81.5], [1], xerr=[0.5], fmt="D", capsize=2)
    rows.set_yticks([0, 1], ["DP", "static, late"])
    numbers.errorbar([100], [81.5], [0.5], fmt="o", capsize=2, label=r"$\rho = 1$")
    figure.canvas.draw()
    assert [point.text for point in points(figure)] == ["static, late: 81.5 ± 0.5", "rho = 1: 81.5 ± 0.5 at 100"]
    plt.close(figure)


def test_a_description_has_formulas_in_words():
    figure, axis = plt.subplots()
    axis.plot([1], [1], label=r"pool $= 1.5\,n_{sel}$ (live_run)")
    axis.set(title=r"$k^{-\alpha}$", xlabel=r"$x^{a_{b}}$", ylabel=r"ridge $\lambda$")
    assert describe(figure) == "k^-alpha; ridge lambda against x^ab; series: pool = 1.5 nsel (live_run)"
    plt.close(figure)
