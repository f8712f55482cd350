"""The study of a linear classifier that practises: its selection, its training, and that it is seen to agree."""

import json

import numpy as np
import pytest

from experiments.studies.linear_practice import LOSSES, LinearPractice, angle, compute, jobs, selected, train
from theory.sampling.fits import logistic_fit

SMALL = LinearPractice(d=10, sizes=(40, 80), seeds=2, noises=(0.1,))


def test_the_rows_of_highest_entropy_are_those_nearest_the_boundary():
    rng = np.random.default_rng(0)
    for length in (1.0, 1e4):  # far out, entropies of confident rows would all round to 0
        w = np.array([3.0, 1.0, 0.0]) * length
        x, y = selected(w, 100, 0.25, 0.0, rng)
        margin = np.abs(x @ w) / np.linalg.norm(w)
        assert x.shape == (100, 3) and np.all(np.sign(x[:, 0]) == y)
        assert margin.max() == pytest.approx(0.319, abs=0.08)  # a quarter of a normal lies within
    x, _ = selected(np.zeros(3), 200, 0.25, 0.0, rng)
    assert np.abs(x[:, 0]).max() > 1


def test_descent_reaches_the_minimum_that_newton_finds():
    x, y = selected(np.zeros(10), 60, 1.0, 0.1, np.random.default_rng(1))
    for ridge in (1e-6, 1e-3):
        np.testing.assert_allclose(train(x, y, ridge), logistic_fit(x, y, 60, ridge), rtol=2e-3, atol=1e-3)


def test_rows_are_deterministic_flat_and_complete():
    job, _ = jobs(SMALL, None)
    rows, again = (compute(job.config, lambda _: None)["rows"] for _ in range(2))
    assert rows == again == json.loads(json.dumps(rows, allow_nan=False))
    policies = {row["policy"] for row in rows if row["series"] == "trained"}
    assert len(policies) == 6
    assert len(rows) == 2 * len(LOSSES) * (2 * 6 + 3)
    assert all(0 < row["test_error"] < 0.6 for row in rows)


def test_the_exact_curves_are_the_mean_of_what_is_trained():
    settings = LinearPractice(d=30, sizes=(240,), seeds=30, noises=(0.1,), ridge=1e-2)
    rows = compute(jobs(settings, None)[0].config, lambda _: None)["rows"]
    for exact in (row for row in rows if row["series"] == "exact"):
        mine = [
            row["test_error"]
            for row in rows
            if row["series"] == "trained" and (row["policy"], row["loss"]) == (exact["policy"], exact["loss"])
        ]
        spread = np.std(mine, ddof=1) / np.sqrt(len(mine))
        assert abs(np.mean(mine) - exact["test_error"]) < 4 * spread + 0.05 * exact["test_error"]


def test_the_angle_of_a_classifier():
    assert angle(np.array([1.0, 1.0])) == pytest.approx(0.25)
    assert angle(np.array([-1.0, 0.0])) == 1
