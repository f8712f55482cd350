"""Runs so small that one of each kind of study takes seconds."""

import json

from dp.config import PracticeConfig
from dp.guidance.guidance import GuidanceConfig
from experiments.engine.study import Profile

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


def result_of(job):
    return json.loads(json.dumps(job.compute(job.config, lambda fraction: None), allow_nan=False))
