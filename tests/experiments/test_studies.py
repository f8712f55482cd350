"""One small run of each kind of study: what a result holds, and that it is what its name says."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dp.data import fashion_mnist as data
from experiments.analysis.hard_images import correct, hard_images
from experiments.data import shift_sets
from experiments.engine import practice_runs as runs
from experiments.studies import (
    ablation,
    generators,
    selection,
)
from experiments.studies import image_grids as grids
from experiments.studies.generators import Generators
from experiments.studies.image_grids import Grids
from experiments.studies.selection import Selection
from experiments.studies.settings import Preset
from tests.experiments.small_runs import PROFILE, SMALL, result_of

pytestmark = pytest.mark.usefixtures("few_images")


def test_a_run_keeps_what_tables_need():
    job = runs.practice_job("study", "run", replace(SMALL, branch_sizes=(60,)))
    result = result_of(job)
    branch, run = result["outcomes"]
    assert (branch["pool_size"], run["pool_size"]) == (60, 80)
    labels = data.test_images().labels[:200].numpy()
    for outcome in result["outcomes"]:
        right = np.array([int(digit) for digit in outcome["test_predictions"]]) == labels
        assert 100 * right.mean() == pytest.approx(outcome["test_accuracy"], abs=1e-4)
        assert outcome["shift_accuracy"].keys() == {name for kind in shift_sets.SHIFTS.values() for name in kind}
    hardness, additions = result["hardness"], result["additions"]
    assert len(hardness["error"]) == 3 and all(each["generation_seconds"] > 0 for each in additions)
    for k, (addition, count) in enumerate(zip(additions, hardness["misclassified"], strict=True)):
        assert count == round(20 * (1 - addition["correct_at_birth"]))
        if count:  # images are chosen because the learner that guided them gets them wrong
            assert hardness["error"][k][k] == 100
    assert "samples" not in result


def test_shifts_leave_labels_and_change_images():
    real = data.test_images()
    for name, shifted in shift_sets.shift_sets().items():
        assert torch.equal(shifted.labels, real.labels[:200]) and shifted.images.dtype == torch.uint8, name
        assert (shifted.images != real.images[:200]).float().mean() > 0.02, name
    again = {name: shifted.images for name, shifted in shift_sets.shift_sets.__wrapped__().items()}
    assert all(torch.equal(again[name], shifted.images) for name, shifted in shift_sets.shift_sets().items())


def test_outlines_are_edges():
    square = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    square[..., 8:24, 8:24] = 200
    edges = shift_sets.outline(square)[0, 0]
    assert edges[16, 16] == 0 and edges[2, 2] == 0 and edges[8, 16] > 200 and edges[16, 8] > 200


def test_selection_says_what_it_costs():
    settings = Selection(replace(SMALL, n_per_round=40), (0,), ratios=(1.0, 3.0), omegas=(0.2,))
    found = {job.name: result_of(job) for job in selection.jobs(settings, PROFILE)}
    cost = {name: each["operations"]["addition"] / each["operations"]["initial"] for name, each in found.items()}
    assert cost["prune-3-seed0"] == pytest.approx(3 * cost["prune-1-seed0"])
    assert 1 <= cost["prune-1-seed0"] < 1.01  # the learner looks at the finished image
    assert 1.1 < cost["cheap-0.2-seed0"] < cost["exact-0.2-seed0"] < 6
    entropy = {name: each["additions"][0]["entropy"] for name, each in found.items()}
    assert entropy["prune-3-seed0"] > entropy["prune-1-seed0"] < entropy["cheap-0.2-seed0"]
    assert [a["candidates"] for a in found["prune-3-seed0"]["additions"]] == [120]


def test_grids_show_the_same_seeds_everywhere():
    settings = Grids(SMALL, omegas=(0.0, 0.4), learners=2, seeds_per_class=1, images=50)
    result = result_of(grids.jobs(settings, PROFILE)[0])
    shown: dict = {}
    for each in result["guided"]:
        shown.setdefault((each["iteration"], each["omega"]), []).append(each)
    assert len(shown) == 4 and all([each["label"] for each in row] == list(range(10)) for row in shown.values())
    first, last = sorted({iteration for iteration, _ in shown})
    # Without guidance the learner does not matter; with it an image is harder for its own learner.
    assert [each["png"] for each in shown[first, 0.0]] == [each["png"] for each in shown[last, 0.0]]
    for iteration in (first, last):
        plain, guided = (np.mean([each["entropy"] for each in shown[iteration, omega]]) for omega in (0.0, 0.4))
        assert guided > plain
    steps = SMALL.inference_steps
    assert len(result["intermediate"]) == 2 * steps * 10
    picture = Image.open(io.BytesIO(base64.b64decode(result["intermediate"][0]["png"])))
    assert picture.size == (32, 32)
    assert result["diversity"].keys() == {"plain", "guided", "pruned"}
    assert result["pool_diversity"].keys() == {"initial", "final"}
    # The final pool holds images of the initial one and of others.
    shown = {name: {each["png"] for each in found} for name, found in result["pools"].items()}
    assert not shown["initial"] & shown["last"]
    assert shown["final"] - shown["initial"]


def test_ablation_rows_differ_from_the_base_in_one_thing():
    rows = ablation.rows_of(replace(SMALL, incremental=True), fixed_patience=3)
    base = rows.pop("base")
    assert len(rows) == 5
    for name, run in rows.items():
        same = {"omega": replace(run, guidance=base.guidance), "patience": replace(run, incremental=True, patience=1)}
        assert base == same.get(name.split("-")[0], replace(run, newest_weight=1.0)), name
    assert [rows[f"omega-{name}"].guidance.omega for name in ("zero", "small", "large")] == [0.0, 0.12, 0.28]


def test_generators_train_on_their_own_images():
    settings = Generators(SMALL, SMALL, Preset(40, 20, 2), scales=(3.0,), weaker_scale=1.5, seeds=(0,))
    found = {job.name: job for job in generators.jobs(settings, PROFILE)}
    weaker = result_of(found["static-short-training-seed0"])
    bundled = result_of(found["static-scale-3-seed0"])
    assert weaker["outcomes"][0]["pool_size"] == bundled["outcomes"][0]["pool_size"] == 80
    assert weaker["log"] != bundled["log"]
    measured = found["diversity-short-training"]
    measured.config["images"] = 100
    assert 0 <= result_of(measured)["recall"] <= 1


def test_hard_images_are_those_most_references_get_wrong(monkeypatch):
    labels = "".join(map(str, data.test_images().labels.tolist()))
    wrong = "".join(str((int(digit) + 1) % len(data.CLASSES)) for digit in labels)
    half = wrong[:5000] + labels[5000:]
    asked = []

    def rows(profile, study, **columns):
        asked.append(columns)
        return [{"test_predictions": each} for each in (labels, half, half)]

    monkeypatch.setattr("experiments.analysis.hard_images.rows", rows)
    hard = hard_images("p", ["comparison"])
    assert hard[:5000].all() and not hard[5000:].any()
    assert correct([half]).mean() == 0.5 and asked == [{"method": "reference"}]
