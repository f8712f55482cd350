"""One thread a process: the same numbers everywhere, and no waiting for each other on a busy machine."""

import os

import pytest
from hypothesis import settings

settings.register_profile("machine", database=None, derandomize=True, deadline=None)  # the same cases on any machine
settings.load_profile("machine")

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"


@pytest.fixture(autouse=True, scope="session")
def small_batches():
    """A batch of images is filled up, so that an image does not depend on how many are made: tests make few."""
    from dp.generation import pipeline_info

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_info, "MAX_BATCH", 10)
        yield
