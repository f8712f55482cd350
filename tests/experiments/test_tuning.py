from dataclasses import replace

import pytest

from dp.config import PracticeConfig, config_from
from experiments import runs, tuning
from experiments.profiles import profile
from experiments.tuning import METHODS, Tuning, draw

SETTINGS = Tuning(PracticeConfig(), learners=("convnet", "vit"), size=4000, trials=16)


def configs(settings: Tuning) -> dict[str, PracticeConfig]:
    hidden = ("source", "purpose")
    return {
        job.name: config_from({name: value for name, value in job.config.items() if name not in hidden})
        for job in tuning.jobs(settings)
    }


def test_every_method_has_the_same_budget_and_ends_with_as_many_images():
    found = configs(SETTINGS)
    for learner in SETTINGS.learners:
        for method in METHODS:
            prefix = f"{learner}-{method.replace(' = ', '')}-"
            mine = [config for name, config in found.items() if name.startswith(prefix)]
            assert len(mine) == SETTINGS.trials and len(set(mine)) == SETTINGS.trials
            assert {c.n_initial + c.rounds * c.n_per_round for c in mine} == {SETTINGS.size}
            assert {c.learner for c in mine} == {learner}


def test_methods_are_what_they_are_called():
    for name, config in configs(SETTINGS).items():
        method = name.split("-")[1]
        assert (config.guidance.omega > 0) == (method == "DP")
        assert (config.over_sampling > 1) == (method == "prune")
        assert (config.rounds > 0) == (method != "static")
        assert config.filter == "none" or method == "DP"


def test_a_longer_search_goes_on_from_a_shorter_one():
    for method in METHODS:
        assert draw(method, replace(SETTINGS, trials=20))[:16] == draw(method, SETTINGS)


def test_tuning_never_looks_at_test_images(monkeypatch, tmp_path):
    def forbidden():
        raise AssertionError("test images were read")

    monkeypatch.setattr(runs, "test_images", forbidden)
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    job = next(job for job in tuning.jobs(profile("smoke").tuning) if "-DP-" in job.name)
    job.config.update(iterations=40, validate_every=20, n_initial=40, n_per_round=20, rounds=1)
    result = job.compute(job.config, lambda fraction: None)
    assert result["outcomes"][0]["test_accuracy"] is None and result["outcomes"][0]["validation_accuracy"] > 0
    with pytest.raises(AssertionError, match="test images were read"):
        job.compute({name: value for name, value in job.config.items() if name != "purpose"}, lambda fraction: None)
