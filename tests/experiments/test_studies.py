"""One small run of each kind of study: what a result holds, and that it is what its name says."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dp.config import PracticeConfig
from dp.data import fashion_mnist as data
from dp.guidance.guidance import GuidanceConfig
from experiments.analysis.hard_images import correct, hard_images
from experiments.data import shift_sets
from experiments.engine import practice_runs as runs
from experiments.engine.study import Profile
from experiments.studies import (
    ablation,
    filtering,
    generators,
    learners,
    objectives,
    off_manifold,
    second_set,
    selection,
    signals,
    transfer,
    validation_size,
)
from experiments.studies import image_grids as grids
from experiments.studies.filtering import Filtering
from experiments.studies.generators import Generators
from experiments.studies.image_grids import Grids
from experiments.studies.learners import Learners
from experiments.studies.objectives import Objectives
from experiments.studies.off_manifold import OffManifold
from experiments.studies.second_set import SecondSet
from experiments.studies.selection import Selection
from experiments.studies.settings import Preset
from experiments.studies.signals import Signals
from experiments.studies.transfer import Transfer
from experiments.studies.validation_size import ValidationSize

SMALL = PracticeConfig(
    n_initial=40,
    n_per_round=20,
    rounds=2,
    iterations=40,
    validate_every=5,
    patience=1,
    batch_size=16,
    inference_steps=4,
    guidance=GuidanceConfig(omega=0.2, interval=(0.0, 1.0), gradient="unet"),  # as the recorded runs
)

PROFILE = Profile("p")


@pytest.fixture(autouse=True)
def few_images(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    real = data.test_images()
    for module in (runs, shift_sets):
        monkeypatch.setattr(module, "test_images", lambda: type(real)(real.images[:200], real.labels[:200]))
    shift_sets.shift_sets.cache_clear()
    yield
    shift_sets.shift_sets.cache_clear()


def result_of(job):
    return json.loads(json.dumps(job.compute(job.config, lambda fraction: None), allow_nan=False))


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


def test_plateaus_can_be_told_by_a_part_of_the_validation_images():
    [job] = validation_size.jobs(ValidationSize(SMALL, seeds=(0,), sizes=(40,)), PROFILE)
    result = result_of(job)
    measured = [entry["validation_accuracy"] for entry in result["log"]]
    assert all(accuracy / 2.5 == pytest.approx(round(accuracy / 2.5)) for accuracy in measured)  # of 40 images
    first, second = (runs.some_of(data.validation_images(), 40, seed) for seed in (0, 1))
    assert len(first) == 40 and not torch.equal(first.images, second.images)


def test_without_a_signal_the_schedule_makes_every_addition():
    found = {job.name: job for job in signals.jobs(Signals(SMALL, seeds=(0,)), PROFILE)}
    assert {each["trigger"] for each in result_of(found["schedule-seed0"])["additions"]} == {"schedule"}
    alone = runs.settings_of(found["loss_alone-seed0"].config)
    assert (alone.signal, alone.backstop) == ("loss", False) and "real-seed0" not in found


def test_filtered_runs_say_whether_the_labels_of_their_additions_are_right():
    found = {job.name: job for job in filtering.jobs(Filtering(SMALL, seeds=(0,), omegas=(0.2, 3.0)), PROFILE)}
    assert len(found) == 2 * 4
    moderate, large = (result_of(found[f"none-{omega}-seed0"])["label_right"] for omega in ("0.2", "3"))
    assert len(moderate) == len(large) == 2
    assert np.mean(large) < np.mean(moderate) - 10


def test_judging_an_image_is_counted():
    """A plain image takes 20 passes of the U-Net and a decoder; the diffusion classifier 30 and an encoder."""
    plain = selection.image_operations(replace(SMALL, inference_steps=10))["initial"]
    costs = {name: filtering.judging_operations(replace(SMALL, filter=name)) / plain for name in filtering.FILTERS}
    assert costs["none"] == 0 < costs["disagreement"] < costs["round_trip"] < 0.3
    assert 1.2 < costs["diffusion_classifier"] < 1.6


def test_objectives_and_baselines_are_what_they_are_called():
    found = {job.name: runs.settings_of(job.config) for job in objectives.jobs(Objectives(SMALL, seeds=(3,)), PROFILE)}
    assert {each.seed for each in found.values()} == {3}
    for name in ("margin", "loss", "disagreement"):
        assert found[f"{name}-seed3"].guidance == replace(SMALL.guidance, objective=name)
    assert found["half_plain-seed3"].guidance.strengths == "half"
    for name in ("static_mixed", "static_cropped"):
        static = found[f"{name}-seed3"]
        assert (static.n_initial, static.rounds, static.guidance.omega) == (80, 0, 0)
    assert found["static_mixed-seed3"].cutmix > 0 and found["static_cropped-seed3"].augment == "resized_crop"


def test_images_leave_the_manifold_as_omega_grows():
    settings = OffManifold(SMALL, seeds=(0,), windows=(((0.0, 1.0), (0.1, 3.0)),), images=60)
    found = {job.name: job for job in off_manifold.jobs(settings, PROFILE)}
    assert list(found) == ["measured-seed0", "run-all-0.1-seed0", "run-all-3-seed0"]
    plain, small, large = result_of(found["measured-seed0"])["measured"]
    assert (plain["window"], plain["omega"], large["omega"]) == ("", 0.0, 3.0)
    for measure in ("rejected", "far", "refused"):
        assert plain[measure] < large[measure] and small[measure] <= large[measure]


def test_far_is_relative_to_other_real_images():
    real = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    assert off_manifold.far(real, real[:200]).mean() == 0  # they are among those compared with
    assert off_manifold.far(real, real[200:]).mean() == pytest.approx(0.05, abs=0.01)
    assert off_manifold.far(real, real[:50] + 20).mean() == 1


def test_one_learner_trains_on_what_another_has_left():
    found = {job.name: job for job in transfer.jobs(Transfer(SMALL, seeds=(0,), learners=("convnet", "vit")), PROFILE)}
    assert len(found) == 2
    own, other = (result_of(found[f"{maker}-seed0"])["students"]["vit"] for maker in ("vit", "convnet"))
    for result in (own, other):
        assert [outcome["pool_size"] for outcome in result["outcomes"]] == [80] and result["additions"] == []
    # The same student and initial images; the additions are another learner's.
    assert own["log"][-1]["train_loss"] != other["log"][-1]["train_loss"]


def test_a_learner_is_trained_as_its_name_says():
    found = learners.jobs(Learners(SMALL, (0, 1), {"resnet": "test_resnet", "vit": "test_vit?patch_size=14"}), PROFILE)
    configs = {job.name: runs.settings_of(job.config) for job in found}
    assert len(configs) == 12
    static, late, practised = (configs[f"vit-{run}-seed1"] for run in ("static-80", "omega0-40", "DP-40"))
    assert {c.learner for c in (static, late, practised)} == {"test_vit?patch_size=14"}
    assert (static.n_initial, static.rounds, late.guidance.omega) == (80, 0, 0)
    assert practised == replace(SMALL, seed=1, learner="test_vit?patch_size=14")
    result = result_of(next(job for job in found if job.name == "vit-DP-40-seed1"))
    assert result["outcomes"][0]["pool_size"] == 80


def test_digits_are_learned_from_generated_digits():
    """Far above chance on real MNIST images, which have had no part in training; less on another source."""
    base = replace(SMALL, iterations=250, lr=4e-3, guidance_scale=2.0, inference_steps=10)
    found = second_set.jobs(SecondSet(base, (0,), (300,), (Preset(200, 50, 2),), 2.0), PROFILE)
    assert [job.name for job in found] == ["static-300-seed0", "DP-200-seed0", "omega0-200-seed0", "prune-200-seed0"]
    result = result_of(found[1])
    (outcome,) = result["outcomes"]
    assert outcome["pool_size"] == 300 and len(result["additions"]) == 2
    assert outcome["test_accuracy"] > 60 and 20 < outcome["other_digits"] < outcome["test_accuracy"]
    assert "experiments/assets/mnist.npz" in found[1].inputs


def test_what_is_measured_off_the_manifold_is_guided_as_its_runs_are(monkeypatch):
    """By the same gradient, at every omega and window."""
    seen = []
    monkeypatch.setattr(off_manifold, "measure", lambda generator, learner, guidance, *_: seen.append(guidance) or {})
    base = replace(SMALL, guidance=replace(SMALL.guidance, gradient="unet"))
    windows = (((0.0, 1.0), (0.1, 0.2)), ((0.0, 0.4), (0.3,)))
    found = off_manifold.jobs(OffManifold(base, (0,), windows, 10), PROFILE)
    result_of(next(job for job in found if job.name.startswith("measured-")))
    assert [(each.omega, each.interval) for each in seen[1:]] == [
        (0.1, (0.0, 1.0)),
        (0.2, (0.0, 1.0)),
        (0.3, (0.0, 0.4)),
    ]
    assert seen[0].omega == 0 and {each.gradient for each in seen[1:]} == {"unet"}
