"""Time and peak memory of one simulated draw: banded against dense against scikit-learn's RidgeClassifier.

Command   python -m benchmarks.theory --json benchmarks/results/theory.json --plot benchmarks/results/theory.png
          python -m benchmarks.theory --small        (seconds; for trying it out)
Time      about 3 minutes on one core, 2 GB of memory
Expected  banded is over 100 times faster than dense at d = 512, n = 100,000, and takes under 3 s and 1 GB at
          d = 100,000, n = 1,000,000; where 1% of the rows are kept, drawing these alone is over 25 times faster than
          drawing the pool

All methods answer the same question: draw a pool of n rows, keep the hardest half, fit ridge regression, give the test
error. scikit-learn draws the whole pool, as its user would. Each case runs in a process of its own, so its peak memory
is its own, and every ratio is of cases run one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if sys.path[0] == str(ROOT / "benchmarks"):  # run as a file, this module would hide the package of the same name
    sys.path[0] = str(ROOT)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from benchmarks.arguments import picture  # noqa: E402 (the path comes first)

RIDGE, ALIGNMENT = 0.01, 0.9
METHODS = ("banded", "dense", "scikit-learn")
FULL = [(128, 10_000), (256, 10_000), (512, 10_000), (1024, 10_000), (512, 3_000), (512, 30_000), (512, 100_000)]
ONE_PERCENT = [(20, 40_000), (512, 100_000)]  # dense and scikit-learn with the hardest 1% kept
LARGE = [(10_000, 100_000), (30_000, 1_000_000), (100_000, 1_000_000), (1_000_000, 1_000_000)]  # banded only
SMALL = [(64, 1_000), (128, 1_000), (128, 4_000)]


def main() -> None:
    """Run all cases, print the ratios, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="small sizes only")
    parser.add_argument("--repeats", type=int, default=3, help="draws a case; the fastest counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements")
    parser.add_argument("--plot", type=picture, metavar="FILE", help="draw how the cost grows (needs matplotlib)")
    parser.add_argument("--one", nargs=3, metavar=("METHOD", "D", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        method, d, n = options.one
        print(json.dumps(measure(method, int(d), int(n), options.repeats)))
        return
    cases = SMALL if options.small else FULL
    rows = []
    for d, n in cases:
        both = {method: run(method, d, n, options.repeats) for method in METHODS}
        for row in both.values():
            row["times_banded"] = row["seconds"] / both["banded"]["seconds"]
            rows.append(row)
            show(row)
    for d, n in [] if options.small else ONE_PERCENT:
        few, pool = (run(f"{method}-1%", d, n, options.repeats) for method in ("dense", "scikit-learn"))
        pool["times_dense"] = pool["seconds"] / few["seconds"]
        for row in (few, pool):
            rows.append(row)
            show(row)
    for d, n in [] if options.small else LARGE:
        rows.append(run("banded", d, n, options.repeats))
        show(rows[-1])
    grid = run("grid", 100, 100, options.repeats)
    show(grid)
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": 1,
    }
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"rows": [*rows, grid], "setting": machine}, indent=1) + "\n")
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        plot(rows, options.plot)


def run(method: str, d: int, n: int, repeats: int) -> dict[str, Any]:
    """Measure one case in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.theory", "--one", method, str(d), str(n), "--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def measure(method: str, d: int, n: int, repeats: int) -> dict[str, Any]:
    """Fastest of several draws, and the process's peak memory above what the imports take."""
    draws = {"banded": _banded, "dense": _dense, "scikit-learn": _scikit_learn, "grid": _grid}
    name = method.removesuffix("-1%")
    draw = draws[name](d, n) if name == method else draws[name](d, n, 0.01)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, error = [], 0.0
    for seed in range(repeats):
        start = time.perf_counter()
        error = draw(seed)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "method": method,
        "d": d,
        "n": n,
        "seconds": min(seconds),
        "peak_mb": peak / 1024,
        "added_mb": (peak - before) / 1024,
        "test_error": error,
    }


def _banded(d: int, n: int) -> Callable[[int], float]:
    from theory import KeepHard, banded

    rule = KeepHard.keeping(0.5)
    return lambda seed: banded(rule, d=d, n=n, ridge=RIDGE, alignment=ALIGNMENT, seed=seed).mean


def _dense(d: int, n: int, kept: float = 0.5) -> Callable[[int], float]:
    from theory import KeepHard, dense

    rule = KeepHard.keeping(kept)
    return lambda seed: dense(rule, d=d, n=n, ridge=RIDGE, alignment=ALIGNMENT, seed=seed).mean


def _scikit_learn(d: int, n: int, kept: float = 0.5) -> Callable[[int], float]:
    import numpy as np
    from sklearn.linear_model import RidgeClassifier

    from theory import KeepHard

    rule = KeepHard.keeping(kept)
    generator = np.zeros(d)
    generator[:2] = ALIGNMENT, np.sqrt(1 - ALIGNMENT**2)

    def draw(seed: int) -> float:
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((n, d))
        x = x[rule.keep(x[:, 0], rng)]
        y = np.where(x @ generator >= 0, 1, -1)
        w = RidgeClassifier(alpha=n * RIDGE, fit_intercept=False).fit(x, y).coef_.ravel()
        return float(np.arccos(w @ generator / np.linalg.norm(w)) / np.pi)

    return draw


def _grid(points: int, _: int) -> Callable[[int], float]:
    """Exact errors of a grid of n/d by kept fraction, in one call."""
    import numpy as np

    from theory import KeepHard, isotropic_error

    rule, n = KeepHard.keeping(np.linspace(0.01, 1, points)), np.geomspace(1e-3, 1e4, points)[:, None]
    return lambda seed: float(isotropic_error(rule, d=1.0, n=n, ridge=RIDGE, alignment=ALIGNMENT).test_error.mean())


def show(row: dict[str, Any]) -> None:
    """One line a case."""
    ratio = next(
        (f"{row[f'times_{of}']:8.1f} x {of}" for of in ("banded", "dense") if row.get(f"times_{of}", 1) != 1), ""
    )
    size = f"d {row['d']:>9,}  n {row['n']:>9,}"
    print(f"{row['method']:>12}  {size}  {row['seconds']:9.4f} s  {row['added_mb']:8.0f} MB  {ratio}", flush=True)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds and memory against the size of the matrix that only the banded sampler does not form."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    looks = {"banded": ("#0072B2", "o"), "dense": ("#D55E00", "s"), "scikit-learn": ("#009E73", "^")}
    for axis, column, label in (
        (axes[0], "seconds", "seconds a draw"),
        (axes[1], "added_mb", "peak memory added (MB)"),
    ):
        for method, (colour, marker) in looks.items():
            mine = [row for row in rows if row["method"] == method]
            size = [row["n"] * row["d"] for row in mine]
            axis.plot(size, [max(row[column], 1e-4) for row in mine], marker, color=colour, label=method)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("entries of the design matrix, n d")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
