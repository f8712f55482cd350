"""One thread a process: the same numbers everywhere, and no waiting for each other on a busy machine."""

import os

from hypothesis import settings

settings.register_profile("machine", database=None, derandomize=True, deadline=None)  # the same cases on any machine
settings.load_profile("machine")

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
