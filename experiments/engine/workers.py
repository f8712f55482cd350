"""Compute what is absent or stale, one single-threaded process a core, results written as they come."""

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch
from tqdm import tqdm

from dp.utils.errors import UserError
from dp.utils.files import remove_partials
from dp.utils.provenance import provenance
from experiments.engine import results
from experiments.engine.results import Job, record, state

BAR = "{percentage:3.0f}%|{bar}| {elapsed} so far, about {remaining} left{postfix}"

_progress: Any = None  # in a worker: the queue on which it reports (job index, fraction done)


def _start_worker(progress: Any) -> None:
    global _progress
    _progress = progress
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.environ["TQDM_DISABLE"] = "1"  # bars are the parent's
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End this worker when its parent ends; it would go on with its job to no end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(index: int, job: Job) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Compute a job; return the result, its seconds, and this process with the code as it was when it began."""
    began, process = time.monotonic(), provenance()
    result = job.compute(job.config, lambda fraction: _progress.put((index, fraction)))
    return result, time.monotonic() - began, process


def run(profile: str, jobs: list[Job], workers: int | None = None) -> int:
    """Make every result of `jobs` that is absent or stale; returns how many were made.

    A result does not depend on the number of workers: each job runs in one process on one thread.
    """
    remove_partials(results.folder(profile))
    states = [state(profile, job) for job in jobs]
    todo = [job for job, found in zip(jobs, states, strict=True) if found != "present"]
    if not todo:
        return 0
    workers = min(workers or os.cpu_count() or 1, len(todo))
    total = sum(job.estimate for job in todo)
    longest = max(max(job.estimate for job in todo), total / workers)
    print(
        f"{len(todo)} of {len(jobs)} results to compute ({states.count('absent')} absent, "
        f"{states.count('stale')} stale); "
        f"about {longest / 60:.1f} minutes on {workers} core{'s' * (workers > 1)}",
        file=sys.stderr,
    )
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # read by the workers as they start: one thread a job
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    executor = ProcessPoolExecutor(workers, context, _start_worker, (reports,))
    futures: dict[Future, int] = {executor.submit(_work, i, job): i for i, job in enumerate(todo)}
    done = [0.0] * len(todo)  # seconds of the estimate
    try:
        with tqdm(total=round(total), bar_format=BAR, smoothing=0) as bar:  # reports come in lumps
            pending = set(futures)
            while pending:
                finished, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
                with contextlib.suppress(queue.Empty):
                    while True:
                        index, fraction = reports.get_nowait()
                        done[index] = max(done[index], fraction * todo[index].estimate)
                failures = [future for future in finished if future.exception()]
                for future in finished.difference(failures):
                    job = todo[futures[future]]
                    result, seconds, process = future.result()
                    done[futures[future]] = job.estimate
                    bar.set_postfix_str(f"{job.study}/{job.name}")
                    record(profile, job, result, seconds, process)
                for future in failures:  # after what has come out well is safe
                    future.result()
                bar.update(round(sum(done)) - bar.n)
    except BrokenProcessPool:
        raise UserError("a worker process was killed (out of memory?); what was finished is kept, run again") from None
    except BaseException:
        for process in executor._processes.values():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
    return len(todo)
