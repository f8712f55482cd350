"""A submitted run, with this machine as the cluster."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import psutil
import pytest

from dp.__main__ import main
from dp.cli.submit import submit
from dp.utils.errors import UserError

OPTIONS = (
    "--n-initial 40 --n-per-round 20 --rounds 2 --iterations 20000 --batch-size 16 --micro-batch 8 --inference-steps 2 "
    "--validate-every 50 --guidance.interval 0 1"
).split()
LONG = 20_000  # iterations: the run is never finished


def submitted(folder: Path) -> psutil.Process:
    """The controller of a job of two processes that run in folder/run."""
    command = [sys.executable, "-m", "dp", "submit", "--cluster", "local", "--nodes", "1", "--gpus-per-node", "2"]
    command += ["--logs", str(folder / "logs"), "--", "run", str(folder / "run"), *OPTIONS]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    said = folder / "said"
    with said.open("w") as out:  # no pipe: the job inherits it, and would keep it open
        subprocess.run(command, stdout=out, env=environment, check=True)
    return psutil.Process(int(said.read_text().split()[1].rstrip(":")))


def wait_until(ready, controller: psutil.Process) -> None:
    """Wait for what the job brings about; it has failed if its controller has ended before."""
    while not ready():
        assert not gone(controller) or ready(), "the job has ended"
        time.sleep(0.2)


def iterations(folder: Path) -> int:
    log = folder / "run" / "log.jsonl"
    return json.loads(log.read_text().splitlines()[-1])["iteration"] if log.exists() and log.read_text() else 0


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_job_whose_time_is_over_queues_again_and_one_ended_by_sigterm_does_not(tmp_path):
    controller = submitted(tmp_path)
    wait_until(lambda: iterations(tmp_path) >= 50, controller)
    (task,) = controller.children()
    task.send_signal(signal.SIGUSR2)
    task.wait()
    reached = iterations(tmp_path)
    assert 50 <= reached < LONG
    wait_until(lambda: iterations(tmp_path) > reached, controller)  # by the job that queued again
    (task,) = controller.children()
    task.send_signal(signal.SIGTERM)
    wait_until(lambda: gone(controller), controller)
    log = [json.loads(line)["iteration"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log == list(range(50, log[-1] + 1, 50)) and reached < log[-1] < LONG
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert not (tmp_path / "run" / "result.json").exists()
    errors = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.err"))
    assert errors.count("stopped; the same command goes on from here") >= 2


def here(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    assert command[:3] == [sys.executable, "-m", "dp"]
    with redirect_stdout(io.StringIO()) as said:
        try:
            main(command[3:])
        except UserError as error:
            return subprocess.CompletedProcess(command, 2, said.getvalue(), f"error: {error}")
    return subprocess.CompletedProcess(command, 0, said.getvalue(), "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (["--", "run", "X", "--rounds", "-3"], "command: rounds: got -3, expected"),
        (["--", "evaluate", "X"], "command: got evaluate X, expected"),
        (["--sbatch", "gpu", "--", "run", "X"], "sbatch: got gpu, expected name=value"),
        (["--nodes", "0", "--", "run", "X"], "nodes: got 0, expected a number greater than or equal to 1"),
        (["--nodes", "3", "--", "run", "X"], "batch_size: got 64 for 24 processes, expected a multiple of 24"),
        (
            ["--nodes", "3", "--", "run", "X", "--micro-batch", "2", "--deterministic", "True"],
            "processes: got 24, but a batch has 32 parts",
        ),
        (
            ["--", "run", "X", *"--class-list imagenet100 --pipeline no/such --imagenet /no/where".split()],
            "command: /no/where",
        ),
    ),
)
def test_mistakes_are_told_before_anything_is_submitted(arguments, message, tmp_path, monkeypatch):
    """The command is tried in this process, as importing everything takes its time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", here)
    with pytest.raises(UserError, match=message):
        main(["submit", *arguments])
    assert not list(tmp_path.iterdir())


def test_slurm_is_asked_for_what_the_processes_need(tmp_path, monkeypatch):
    """A stand-in for sbatch keeps the script that it is given."""
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text(f'#!/bin/sh\n/bin/cp "$1" {tmp_path}/script\necho Submitted batch job 7\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    submit(("generate", "POOL"), 2, 4, 3.0, 6, ("partition=gpu",), tmp_path / "logs")
    script = (tmp_path / "script").read_text()
    for option in ("nodes=2", "gpus-per-node=4", "time=180", "cpus-per-task=24", "partition=gpu", "signal=USR2@120"):
        assert f"#SBATCH --{option}\n" in script, script
    srun = next(line for line in script.splitlines() if line.startswith("srun "))
    assert "--cpus-per-task=24 " in srun and "--kill-on-bad-exit=1 " in srun


def test_without_slurm_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"cluster: .*srun"):
        submit(("generate", "POOL"), logs=tmp_path / "logs")
