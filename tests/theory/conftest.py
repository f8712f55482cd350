"""One BLAS thread, set before numpy is imported: the matrices here are small, and spinning threads slow each other."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hypothesis import settings  # noqa: E402

settings.register_profile("theory", database=None, derandomize=True, deadline=None)
settings.load_profile("theory")
