"""A training killed at any moment ends as one that never was."""

import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from dp.checkpoint import load_state, save_state
from dp.errors import UserError
from dp.randomness import stream

SCRIPT = """
import sys, time, torch
from pathlib import Path
from timm.utils import ModelEmaV3
from dp import train_generator
from dp.randomness import stream
train_generator.CHECKPOINT_SECONDS = 0.0  # at every iteration
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
ema = ModelEmaV3(model, decay=0.9)
def loss(i):
    time.sleep(0.01)
    x = torch.randn(16, 4, generator=stream(1, i))
    return (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
train_generator.optimise("toy", model, loss, 150, 0.01, Path(sys.argv[1]), ema)
"""


def start(path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stderr=subprocess.DEVNULL)


def test_resume_after_kill_gives_the_same_weights(tmp_path):
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    assert start(whole).wait() == 0
    for _ in range(3):
        process = start(killed)
        before = killed.stat().st_mtime_ns if killed.exists() else 0
        while process.poll() is None and (not killed.exists() or killed.stat().st_mtime_ns == before):
            time.sleep(0.005)
        time.sleep(0.2)
        process.kill()
        process.wait()
    assert start(killed).wait() == 0
    a, b = load_file(whole), load_file(killed)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    path = tmp_path / "state.safetensors"
    save_state(path, {"model": model}, optimizer, iteration=7)
    assert load_state(path, {"model": model}, optimizer) == {"iteration": 7}
    other = torch.nn.Linear(4, 2)
    with pytest.raises(UserError, match="not a checkpoint of this configuration"):
        load_state(path, {"model": other}, torch.optim.AdamW(other.parameters()))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="not a checkpoint of this configuration"):
        load_state(path, {"model": model}, optimizer)
    torch.save({"model": model.state_dict()}, path)  # a pickle under the expected name is not opened as one
    with pytest.raises(UserError, match="not a checkpoint of this configuration"):
        load_state(path, {"model": model}, optimizer)


def test_streams_are_independent_of_each_other_and_repeat():
    draws = {
        key: torch.rand(3, generator=stream(*key))
        for key in [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    }
    values = [tuple(v.tolist()) for v in draws.values()]
    assert len(set(values)) == len(values)
    assert torch.equal(draws[0, 1, 2], torch.rand(3, generator=stream(0, 1, 2)))
