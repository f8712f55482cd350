"""The guidance benchmark: its comparison on made-up curves, its sampling against the generator, its recorded result."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
FEW = 16  # images a batch
sys.path.append(str(ROOT))  # benchmarks/ is not installed

from benchmarks import guidance_quality  # noqa: E402
from benchmarks.guidance import markdown  # noqa: E402
from benchmarks.guidance_choice import GOAL, KEPT, Curve, at_drop, compared, promising, recommended  # noqa: E402
from benchmarks.guidance_cost import in_turns, middle, peak_memory, sd15_cost_ratio  # noqa: E402
from benchmarks.guidance_quality import VARIANTS, Study, Variant, kept, new_learner  # noqa: E402
from dp.generation.generator import Generator  # noqa: E402
from dp.pretrained.load import bundled_decoder, bundled_pipeline  # noqa: E402


def curve(gains, losses, n=1000):
    """Of n seeds: mean gains, and losses of recognition from 90%."""
    spread = np.linspace(-0.1, 0.1, n)
    recognised = np.stack([np.arange(n) < round((0.9 - loss) * n) for loss in losses])
    return Curve(np.arange(len(gains)) / 10, np.array(gains)[:, None] + spread, recognised)


def test_gains_are_interpolated_at_equal_recognition():
    omega, gain = at_drop(curve([0, 0.2, 0.6], [0, 0.02, 0.06]))
    assert (omega, gain) == pytest.approx((0.15, 0.4))


def test_the_first_crossing_counts_and_a_dip_does_not_undo_it():
    assert at_drop(curve([0, 0.2, 0.3, 0.6], [0, 0.05, 0.01, 0.09]))[1] == pytest.approx(0.16)


def test_a_curve_that_never_loses_enough_gives_its_last_point():
    row = compared(curve([0, 0.2], [0, 0.01]), curve([0, 0.4], [0, 0.08]))
    assert not row["reaches_drop"] and row["entropy_gain"] == 0.2 and row["entropy_gain_fraction"] == 1.0


def test_half_the_gain_is_half_with_an_interval_around_it():
    exact, half = curve([0, 0.4, 0.8], [0, 0.04, 0.08]), curve([0, 0.2, 0.4], [0, 0.04, 0.08])
    row = compared(half, exact)
    low, high = row["entropy_gain_fraction_95"]
    assert row["entropy_gain_fraction"] == 0.5 and low <= 0.5 <= high
    assert compared(exact, exact)["entropy_gain_fraction_95"] == [1.0, 1.0]


def row(cost, fraction):
    return {"sd15_cost_ratio": cost, "entropy_gain_fraction": fraction, "entropy_gain_fraction_95": [0, fraction + 0.1]}


def test_the_cheapest_that_keeps_enough_is_recommended():
    rows = [row(4.0, 1.0), row(1.08, 0.92), row(1.02, 0.5), row(1.2, 0.99)]
    assert recommended(rows)["sd15_cost_ratio"] == 1.08 and recommended(rows)["meets_goal"]
    assert [each["sd15_cost_ratio"] for each in promising(rows)] == [1.08, 1.2, 4.0]


def test_if_none_keeps_enough_the_best_trade_is_said_to_be_one():
    assert recommended([row(1.02, 0.5), row(1.08, 0.8), row(3.0, 0.85)]) == row(1.08, 0.8) | {"meets_goal": False}
    assert recommended([row(1.02, 0.5), row(3.0, 0.95)]) == row(3.0, 0.95) | {"meets_goal": False}


@pytest.mark.parametrize(
    ("variant", "omega"), [(Variant("x0", "tiny", 2, (0.0, 0.6)), 0.3), (Variant("unet", "vae", 1, (0.0, 0.2)), 0.4)]
)
def test_sharing_the_plain_steps_changes_no_image(variant, omega, tmp_path, monkeypatch):
    monkeypatch.setattr(guidance_quality, "BATCH", FEW)
    pipe, learner = bundled_pipeline(), new_learner().eval()
    study = Study(pipe, learner, 0, FEW, 1.5)
    decoder = None if variant.decoder == "vae" else bundled_decoder(variant.decoder)
    generator = Generator(pipe, 1.5, 10, FEW, decoder=decoder)
    expected = generator.generate(study.labels(), study.seeds(), learner, variant.config(omega))
    assert torch.equal(study.images(study.guidance(variant, omega)), expected.images)
    assert torch.equal(study.images(), generator.generate(study.labels(), study.seeds()).images)
    cell = kept(tmp_path / "cell.npz", study.cell)
    again = kept(tmp_path / "cell.npz", lambda: pytest.fail("computed twice"))
    assert np.array_equal(again.entropy, cell.entropy) and np.array_equal(again.recognised, cell.recognised)


def test_ratios_and_memory_measure_what_they_say():
    loop = in_turns(lambda: sum(range(200_000)), lambda: sum(range(800_000)), 5)
    assert 2 < middle(loop)["ratio"] < 8

    def made():
        a = torch.ones(1000, 1000)
        del a
        return torch.ones(500, 1000)

    assert 4e6 <= peak_memory(made) < 4.5e6


@pytest.fixture(scope="module")
def recorded():
    command = [sys.executable, str(ROOT / "benchmarks" / "guidance.py"), "--recorded", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_the_recorded_result_is_of_these_variants_and_costs(recorded):
    rows = {each["name"]: each for each in recorded["variants"]}
    assert list(rows) == [variant.name for variant in VARIANTS]
    for variant in VARIANTS:
        assert rows[variant.name]["sd15_cost_ratio"] == pytest.approx(sd15_cost_ratio(variant), abs=1e-4)
        assert len(rows[variant.name]["curve"]["omega"]) >= 6  # with plain images
    assert {"commit", "packages", "hardware", "seconds"} <= set(recorded["made_by"])


def test_the_recorded_recommendation_is_the_one_its_numbers_give(recorded):
    best = recorded["recommended"]
    assert best == recommended(recorded["confirmed"])
    fields = "gradient decoder every interval omega entropy_gain_fraction sd15_cost_ratio measured_cost_ratio"
    assert set(fields.split()) <= set(best)
    assert best["meets_goal"] == (best["entropy_gain_fraction"] >= KEPT and best["sd15_cost_ratio"] <= GOAL)
    assert recorded["confirmed"][0]["name"] == recorded["exact"]


def test_the_documented_table_is_the_recorded_one(recorded):
    """Every line, and the confirmed variants from their fresh seeds."""
    page = (ROOT / "docs" / "guidance.md").read_text()
    confirmed = {markdown(each) for each in recorded["confirmed"]}
    lines = {line for line in page.splitlines() if line.startswith(("| x0", "| unet"))}
    assert confirmed <= lines <= confirmed | {markdown(each) for each in recorded["variants"]}
