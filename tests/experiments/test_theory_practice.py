"""The linear model's fit: what was made by the model is found again."""

import numpy as np
import pytest

from experiments.engine import results
from experiments.engine.study import Profile
from experiments.studies import theory_practice
from experiments.studies.theory_practice import TheoryPractice, compute, fit_static, jobs

MODEL = {"d": 40.0, "ridge": 1e-3, "generator_error": 0.1}
SIZES = [100, 300, 1000, 3000, 10000, 30000]
GRID = {"kept_fractions": [1.0, 0.4, 0.1], "ceilings": [1.0, 0.8], "replicates": 10, "seed": 0}


def static_curve(model=MODEL):
    return [[n, theory_practice._static(model, n)] for n in SIZES]


def practised(model, kept):
    sizes = [(100, 20, 10), (400, 80, 5)]
    return [[*size, theory_practice._practice(model, size, kept, GRID | {"seed": 7})] for size in sizes]


def test_a_static_curve_of_the_model_is_fitted_to_its_rounding():
    found = fit_static(static_curve())
    assert found["d"] == pytest.approx(40, abs=2) and found["generator_error"] == pytest.approx(0.1, abs=1e-3)
    fitted = [theory_practice._static(found, n) for n in SIZES]
    np.testing.assert_allclose(fitted, [accuracy for _, accuracy in static_curve()], atol=0.15)


@pytest.mark.parametrize(("kept", "share"), [(0.4, 1.0), (0.4, 0.8)])
def test_practice_of_the_model_is_told_from_that_of_a_better_generator(kept, share):
    better = MODEL | {"generator_error": share * MODEL["generator_error"]}
    config = GRID | {"static": static_curve(), "practice": practised(better, kept), "selection": [[100, 100, 4.0, 0]]}
    found = compute(config, lambda _: None)
    assert found["practice_own_ceiling"]["kept_fraction"] == kept
    assert found["practice_own_ceiling"]["share"] == share
    assert found["no_gain"]["rms"] > 3 * found["practice_own_ceiling"]["rms"]
    assert (found["practice"]["rms"] > 2 * found["practice_own_ceiling"]["rms"]) == (share < 1)
    assert len(found["selection"]) == 1


def test_in_the_model_no_selection_passes_the_generator():
    """Practice with very many rows ends at the generator's error, from below in accuracy."""
    reached = theory_practice._practice(MODEL, (2000, 4000, 5), 0.5, GRID)
    assert reached <= 100 * (1 - MODEL["generator_error"] / theory_practice.PER_CLASS) + 0.1


def test_new_measurements_make_a_fit_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    static = {n: accuracy for n, accuracy in static_curve()}

    def rows(profile, study, **columns):
        if study == "selection":
            return []
        found = [{"method": "static", "images": n, "test_accuracy": a} for n, a in static.items()]
        found += [{"method": "DP", "images": 300, "test_accuracy": 70.0, "n_initial": 100, "n_per_round": 20}]
        return [each | {"rounds": 10, "seed": 0, "branch_iteration": None} for each in found]

    monkeypatch.setattr(theory_practice, "rows", rows)
    settings = TheoryPractice(("scaling-equal-convnet",), "scaling-equal-convnet", logistic=())
    (job,) = jobs(settings, Profile("p"))
    results.record("p", job, {"model": MODEL}, 1.0)
    assert results.state("p", job) == "present"
    static[1000] += 0.5
    (changed,) = jobs(settings, Profile("p"))
    assert results.state("p", changed) == "stale"
    del static[100], static[300], static[1000]
    assert jobs(settings, Profile("p")) == []
