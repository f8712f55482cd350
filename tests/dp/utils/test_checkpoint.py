"""A training killed at any moment ends as one that never was."""

import signal

import pytest
import torch

from dp.utils.checkpoint import load_state, save_state
from dp.utils.errors import UserError
from dp.utils.seeding import stream
from tests.dp.forked import CONTEXT, wait_for
from tests.dp.train_in_small import train_in_small


def start(folder):
    process = CONTEXT.Process(target=train_in_small, args=(folder,))
    process.start()
    return process


def test_resume_after_kill_gives_the_same_weights(tmp_path):
    folders = whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in folders:
        folder.mkdir()
    done = start(whole)
    for part in ("vae", "unet", "unet"):
        checkpoint = killed / f"{part}.safetensors"
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = start(killed)
        wait_for(lambda path=checkpoint, then=before: path.exists() and path.stat().st_mtime_ns != then, [process])
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    finished = start(killed)
    for process in (done, finished):
        process.join()
        assert process.exitcode == 0
    for weights in ("pipeline/vae", "pipeline/unet"):
        (file,) = (whole / weights).glob("*.safetensors")
        assert file.read_bytes() == (killed / weights / file.name).read_bytes(), weights


def test_a_checkpoint_of_another_model_or_a_damaged_one_is_refused(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    path = tmp_path / "state.safetensors"
    save_state(path, {"model": model}, optimizer, iteration=7)
    assert load_state(path, {"model": model}, optimizer) == {"iteration": 7}
    other = torch.nn.Linear(4, 2)
    with pytest.raises(UserError, match="damaged, or of another configuration"):
        load_state(path, {"model": other}, torch.optim.AdamW(other.parameters()))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="damaged, or of another configuration"):
        load_state(path, {"model": model}, optimizer)
    torch.save({"model": model.state_dict()}, path)  # a pickle under the expected name is not opened as one
    with pytest.raises(UserError, match="damaged, or of another configuration"):
        load_state(path, {"model": model}, optimizer)


def test_streams_are_independent_of_each_other_and_repeat():
    draws = {
        key: torch.rand(3, generator=stream(*key))
        for key in [(a, b, c) for a in range(3) for b in range(3) for c in range(3)]
    }
    values = [tuple(v.tolist()) for v in draws.values()]
    assert len(set(values)) == len(values)
    assert torch.equal(draws[0, 1, 2], torch.rand(3, generator=stream(0, 1, 2)))
