"""Made-up results of every study, of the shape that real ones have."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dp.data.fashion_mnist import test_images
from dp.generation.visualize import png
from experiments.data.shift_sets import SHIFTS
from experiments.engine.results import Job, record
from experiments.studies.off_manifold import name

# Accuracy at a number of images; DP is better than static, omega = 0 is not.
CURVES: dict[str, Callable[[float], float]] = {
    "static": lambda n: 85 - 220 * n**-0.5,
    "DP": lambda n: 87 - 200 * n**-0.5,
    "omega0": lambda n: 85 - 220 * n**-0.5,
    "prune": lambda n: 86.3 - 210 * n**-0.5,
    "real": lambda n: 93 - 200 * n**-0.5,
    "reference": lambda n: 93 - 200 * n**-0.5,
}


def write(profile: str, job: Job) -> None:
    """Write a made-up result of the job; what it says depends on the job alone."""
    rng = np.random.default_rng(list(job.study.encode() + job.name.encode()))
    made = {
        "grids": grids,
        "generators": generator,
        "theory_practice": fitted,
        "linear_practice": fitted,
        "transfer": transfer,
    }.get(job.study, run)(job, rng)
    if job.name.startswith("measured-"):
        made = {
            "measured": [
                measured("", 0.0),
                *(measured(name(w), o) for w, every in job.config["windows"] for o in every),
            ]
        }
    record(profile, job, made, 1.0)


@pytest.fixture(scope="session")
def fabricate() -> Callable[[str, Job], None]:
    """Writes a made-up result of a job of a profile."""
    return write


def measured(window: str, omega: float) -> dict[str, Any]:
    """Shares of guided images that grow with omega, faster with guidance at all noise levels."""
    shares = {each: 5 + 50 * omega * (2 if window == "all" else 1) for each in ("rejected", "far", "refused")}
    return {"window": window, "omega": omega, **shares, "entropy": 0.5 + omega, "misclassified": 10.0}


def fitted(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """The fit itself: it needs no training."""
    return job.compute(job.config, lambda _: None)


def transfer(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """A run of each student."""
    made = {}
    for student in job.config["students"]:
        trained = replace(job, config=job.config | {"learner": student, "rounds": 0, "branch_sizes": []})
        made[student] = run(trained, rng)
    return {"students": made}


def run(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """A run of Algorithm 1."""
    config, (method, *rest) = job.config, job.name.split("-")
    n, p, rounds = config["n_initial"], config["n_per_round"], config["rounds"]
    level = CURVES.get(method, CURVES["DP"])
    omega = config["guidance"]["omega"]
    bonus = {"vit": -2.0}.get(config["learner"], 0.0) + float(rng.normal(0, 0.25))
    bonus += 1.5 * np.exp(-abs(config["guidance_scale"] - 1.5))
    if job.study == "selection":
        strength = float(rest[0])
        bonus += {"prune": np.log2(strength) * (1 - np.log2(strength) / 5.5)}.get(
            method, 9 * strength * (0.75 - strength)
        )
    if job.study == "ablation":
        bonus -= 40 * (omega - 0.3) ** 2
    tests = test_images().labels.numpy()
    hardness = np.random.default_rng(1).random(len(tests))  # of the test images, the same for all runs

    def outcome(size: int, branched: int | None) -> dict[str, Any]:
        goal = level(size) + bonus
        wrong = hardness + rng.normal(0, 0.1, len(tests)) > np.quantile(hardness, goal / 100)
        predictions = np.where(wrong, (tests + 1) % 10, tests)
        accuracy = 100 * float((predictions == tests).mean())
        shifts = {each: accuracy - 10 - 20 * float(rng.random()) for kind in SHIFTS.values() for each in kind}
        found = {"pool_size": size, "branched_at": branched, "validation_accuracy": accuracy + 0.3}
        if config.get("purpose") == "tuning":
            return found | {"test_accuracy": None}
        if job.study == "second_set" or config.get("data") == "fonts":
            found["other_digits"] = accuracy - 20
        return found | {
            "test_accuracy": accuracy,
            "test_predictions": "".join(map(str, predictions)),
            "shift_accuracy": shifts,
        }

    final = outcome(n + rounds * p, None)
    outcomes = [*(outcome(size, 100) for size in config["branch_sizes"]), final]  # in the order of a real run
    every, end = config["validate_every"], config["iterations"]
    start, stop = config["warmup"] * end, (1 - config["cooldown"]) * end
    times = [round((start + (stop - start) * k / max(rounds, 1)) / every) * every for k in range(rounds)]
    additions = [
        {
            "iteration": time,
            "trigger": "patience" if rng.random() < 0.6 else "schedule",
            "pool_size": n + (k + 1) * p,
            "candidates": p * config["over_sampling"],
            "generation_seconds": p * 0.01 * config["over_sampling"] * (1 + (omega > 0)) * float(rng.uniform(0.9, 1.2)),
        }
        for k, time in enumerate(times)
    ]
    log = []
    for step in range(every, end + 1, every):
        size = n + p * sum(time < step for time in times)
        accuracy = final["validation_accuracy"] - 12 * np.exp(-6 * step / end) - (n + rounds * p - size) / max(p, 1) / 3
        loss = 0.6 + 1.5 * np.exp(-8 * step / end) + 0.05 * sum(0 < step - time < 3 * every for time in times)
        noise = float(rng.normal(0, 0.2))
        log.append(
            {
                "iteration": step,
                "train_loss": float(loss),
                "validation_accuracy": float(accuracy + noise),
                "pool_size": size,
            }
        )
    moved = 30 if omega else 8
    error = [
        [
            100.0 if k == j else float(100 - 15 - moved * (1 - np.exp(-abs(k - j) / 4)) + rng.normal(0, 2))
            for j in range(rounds)
        ]
        for k in range(rounds + 1)
    ]
    result = {"outcomes": outcomes, "log": log, "additions": additions}
    result["hardness"] = {"misclassified": [int(rng.integers(10, 60)) for _ in range(rounds)], "error": error}
    if config.get("data") == "fonts":
        result["recognised"] = [80.0] + [80 - 40 * omega] * rounds
    if config.get("judged"):
        result["label_right"] = [90.0 - 40 * omega] * rounds
    if job.study == "filtering":
        result["operations"] = {"candidate": 1e9, "judging": 0.5e9 * (config["filter"] != "none")}
    if job.study == "selection":
        cost = {"exact": 3.5, "cheap": 1.3}.get(method, 1.0) * config["over_sampling"]
        result["operations"] = {"initial": 1e9, "addition": 1e9 * cost}
    return result


def generator(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """A generator's diversity, or a run with it."""
    if not job.name.startswith("diversity-"):
        return run(job, rng)
    scale = job.config["guidance_scale"]
    return {
        "precision": 0.7 + 0.05 * scale,
        "recall": 0.8 - 0.15 * scale,
        "coverage": 0.7 - 0.1 * scale,
        "recognised": 0.9,
    }


def grids(job: Job, rng: np.random.Generator) -> dict[str, Any]:
    """Pictures of test images."""
    real, config = test_images(), job.config
    by_class = [torch.nonzero(real.labels == label)[:, 0] for label in range(10)]

    def picture(label: int, number: int, dim: float = 1.0) -> str:
        return png((real.images[by_class[label][number]] * dim).byte())

    def judged(label: int, number: int, omega: float) -> dict[str, Any]:
        return {
            "label": label,
            "entropy": round(0.5 + omega + 0.1 * float(rng.random()), 4),
            "correct": int(rng.random() > 0.1 + omega / 2),
            "png": picture(label, number, 1 - omega / 2),
        }

    per_class, learners = config["seeds_per_class"], config["learners"]
    omega = config["guidance"]["omega"]
    ways = {"plain": 0.5, "guided": 0.6, "pruned": 0.4}
    return {
        "guided": [
            {"iteration": 700 * (k + 1), "omega": each} | judged(label, number, each)
            for k in range(learners)
            for each in config["omegas"]
            for number in range(per_class)
            for label in range(10)
        ],
        "intermediate": [
            {
                "omega": each,
                "t": t,
                "label": label,
                "png": picture(label, 0, (1 - t / 1000) * (1 - each / 2 * (t < 400))),
            }
            for each in (0.0, omega)
            for t in range(901, 0, -1000 // config["inference_steps"])
            for label in range(10)
        ],
        "pools": {
            name: [
                {"label": label, "png": picture(label, first + number)}
                for number in range(per_class)
                for label in range(10)
            ]
            for name, first in (("initial", 0), ("final", 30), ("last", 50))
        },
        "pool_diversity": {
            name: {"precision": 0.8, "recall": value, "coverage": value + 0.1}
            for name, value in (("initial", 0.4), ("final", 0.6))
        },
        "pruned": [judged(label, 20 + number, 0.2) for number in range(per_class) for label in range(10)],
        "diversity": {
            name: {"precision": 0.8, "recall": value, "coverage": value + 0.1} for name, value in ways.items()
        },
        "additions": [{"iteration": 700}] * config["rounds"],
    }
