"""Submit a command to SLURM through submitit: on many nodes, and again whenever it is interrupted.

    dp submit --nodes 4 --gpus-per-node 8 --hours 24 --sbatch partition=gpu account=lab -- \\
        run RUN --row "4/DP 64k + 18 x 32k" --imagenet ROOT --pipeline sd15 --storage.no-memory

Every node runs torchrun, which runs the command in one process a GPU. Before its time is over (or when it is preempted,
where SLURM is set up to send the job's signal then), the job is told, its processes write a checkpoint together, and it
queues again. SIGTERM ends it in the same way but does not queue it again: after a preemption SLURM does that itself,
and after `scancel` the job is meant to end.

submitit hands the job to the nodes as a pickle of its own in the folder of the logs; it holds the command alone.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import tyro
from pydantic import Field

from dp.utils.errors import UserError
from dp.utils.validation import checked

SUBMITTABLE = ("run", "generate")
REQUEUES = 1000  # as often as need be; what limits a job is the length of its run
STOP_SECONDS = 120  # before the time limit: enough to finish an iteration, write a checkpoint and queue again
SHUTDOWN_SECONDS = 100  # of these are the processes' own, before torchrun kills them (an older one: after 30, always)
PORTS = range(20_000, 30_000)  # of the meeting point, by the job's number


class Launch:
    """The command under torchrun, which submitit calls on every node.

    Attributes:
        command: arguments of `python -m dp`.
        processes: on this node.
    """

    def __init__(self, command: tuple[str, ...], processes: int):
        self.command = command
        self.processes = processes
        self._torchrun: subprocess.Popen[bytes] | None = None
        self._code: int | None = None

    def __call__(self) -> None:
        """Run the command until it ends; if it fails, srun ends the other nodes, which would wait for long."""
        from submitit import JobEnvironment

        job = JobEnvironment()
        port = PORTS[zlib.crc32(job.job_id.encode()) % len(PORTS)]
        arguments = {
            "nnodes": job.num_nodes,
            "nproc-per-node": self.processes,
            "rdzv-id": job.job_id,
            "rdzv-backend": "c10d",
            "rdzv-endpoint": f"{job.hostnames[0]}:{port}",
        }
        flags = [f"--{name}={value}" for name, value in arguments.items()]
        # In a session of its own: SLURM signals a task's whole process group, and torchrun is to hear of it from here.
        self._torchrun = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *flags, "-m", "dp", *self.command],
            start_new_session=True,
            env=os.environ | {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(SHUTDOWN_SECONDS)},
        )
        signal.signal(signal.SIGTERM, self._on_sigterm)  # submitit ignores it
        threading.Thread(target=self._wait, daemon=True).start()
        self._until_ended()
        if self._code and job.global_rank:
            time.sleep(STOP_SECONDS)  # if all were told to stop, the first node is to queue again before srun ends it
        sys.exit(self._code)

    def checkpoint(self) -> Any:
        """Stop with a checkpoint; return what is to queue again. submitit calls this when the time is nearly over."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(Launch(self.command, self.processes))

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        self._stop()
        sys.exit(128 + number)

    def _stop(self) -> None:
        if self._torchrun is not None:
            self._torchrun.terminate()
            self._until_ended()

    def _wait(self) -> None:
        assert self._torchrun is not None
        self._code = self._torchrun.wait()

    def _until_ended(self) -> None:
        # No lock: a signal handler waits here while what it has interrupted is waiting here.
        while self._code is None:
            time.sleep(0.2)


@checked
def submit(
    command: tyro.conf.Positional[tuple[str, ...]],
    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1,
    gpus_per_node: Annotated[int, Field(ge=1, le=64)] = 8,
    hours: Annotated[float, Field(gt=0, le=8760)] = 24.0,
    cpus_per_gpu: Annotated[int, Field(ge=1, le=1000)] = 8,
    sbatch: tuple[str, ...] = (),
    logs: Path = Path("submitted"),
    cluster: Literal["slurm", "local"] = "slurm",
) -> None:
    """Submit a run (or the generation of a pool) to SLURM; it queues again until it is finished.

    Args:
        command: after `--`: `run` or `generate` with what belongs to it. It is tried with --dry-run first.
        nodes: machines.
        gpus_per_node: of each; one process a GPU (without GPUs: processes).
        hours: at a time.
        cpus_per_gpu: cores for reading files.
        sbatch: more options of sbatch, as name=value: partition=gpu account=lab constraint=h100.
        logs: folder on storage that all nodes share, for what the processes print.
        cluster: slurm, or local to start it in the background on this machine.
    """
    try:
        import submitit
    except ImportError:
        raise UserError("submit: submitit is not installed; pip install submitit") from None
    if not command or command[0] not in SUBMITTABLE:
        found = shlex.join(command) or "none"
        raise UserError(f"command: got {found}, expected -- run FOLDER ... or -- generate POOL ...")
    options = dict(each.partition("=")[::2] for each in sbatch)
    if not all(options.values()):
        raise UserError(f"sbatch: got {' '.join(sbatch)}, expected name=value, such as partition=gpu")
    if cluster == "local" and (sbatch or cpus_per_gpu != 8):
        raise UserError(
            "sbatch, cpus_per_gpu: got one of them with cluster local, which has no use for it; leave it out"
        )
    if command[0] == "run":
        _try(command, nodes * gpus_per_node)
    try:
        executor = submitit.AutoExecutor(logs, cluster=cluster, **{f"{cluster}_max_num_timeout": REQUEUES})
    except RuntimeError as error:
        raise UserError(f"cluster: {error}; submit from a machine of the cluster, or start torchrun yourself") from None
    name = Path(command[1]).name if len(command) > 1 else command[0]
    executor.update_parameters(
        name=name, nodes=nodes, tasks_per_node=1, timeout_min=round(60 * hours), gpus_per_node=gpus_per_node
    )
    if cluster == "slurm":
        executor.update_parameters(
            cpus_per_task=cpus_per_gpu * gpus_per_node,
            slurm_srun_args=[
                f"--cpus-per-task={cpus_per_gpu * gpus_per_node}",  # srun does not take it from sbatch
                "--kill-on-bad-exit=1",
            ],
            slurm_signal_delay_s=STOP_SECONDS,
            slurm_additional_parameters=options,
        )
    job = executor.submit(Launch(command, gpus_per_node))
    print(f"job {job.job_id}: dp {shlex.join(command)}\nlogs: {job.paths.stdout} and {job.paths.stderr}")


def _try(command: tuple[str, ...], gpus: int) -> None:
    """Try the command, so that a mistake is told now and not when the job starts."""
    from dp.config import config_from  # not before they are needed: they wait for torch
    from dp.utils.distributed import check_even, check_share

    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    arguments = [sys.executable, "-m", "dp", *command, "--dry-run"]
    tried = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    if tried.returncode:
        raise UserError(f"command: {tried.stderr.strip().removeprefix('error: ')}")
    settings, _ = json.JSONDecoder().raw_decode(tried.stdout)
    config = config_from(settings["config"])
    if "--deterministic" in command:
        check_share(config.parts, gpus)
    else:
        check_even(config.batch_size, gpus)
