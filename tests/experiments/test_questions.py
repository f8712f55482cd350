"""One small run of each study that answers a question: what a result holds, and that it is what its name says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dp.data import fashion_mnist as data
from experiments.engine import practice_runs as runs
from experiments.studies import (
    filtering,
    learners,
    objectives,
    off_manifold,
    second_set,
    selection,
    signals,
    transfer,
    validation_size,
)
from experiments.studies.filtering import Filtering
from experiments.studies.learners import Learners
from experiments.studies.objectives import Objectives
from experiments.studies.off_manifold import OffManifold
from experiments.studies.second_set import SecondSet
from experiments.studies.settings import Preset
from experiments.studies.signals import Signals
from experiments.studies.transfer import Transfer
from experiments.studies.validation_size import ValidationSize
from tests.experiments.small_runs import PROFILE, SMALL, result_of

pytestmark = pytest.mark.usefixtures("few_images")


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
    settings = OffManifold(SMALL, seeds=(0,), windows=(((0.0, 1.0), (0.1, 3.0)),), images=50)
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
    base = replace(SMALL, iterations=250, lr=4e-3, guidance_scale=2.0, inference_steps=5)
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
