"""Accuracy of a learner on images in files and in memory, by one process and by several."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dp.data.image_set import ImageSet
from dp.data.image_tree import ImageTree
from dp.data.imagenet import folders_of, open_set
from dp.learner import evaluate
from dp.learner.evaluate import accuracy, errors_by_class, kept_share, measured, right
from dp.utils import distributed as processes
from tests.dp.forked import as_torchrun_does, spawned
from tests.dp.image_files import save


def test_accuracy_among_the_sets_classes_differs():
    logits = torch.tensor([[0.0, 1.0, 2.0, 9.0], [3.0, 1.0, 2.0, 0.0], [0.0, 1.0, 5.0, 0.0]])
    labels = torch.tensor([2, 0, 0])
    assert right(logits, labels).tolist() == [False, True, False]
    assert right(logits, labels, (0, 2)).tolist() == [True, True, False]
    assert right(logits, labels, (1, 3)).tolist() == [False] * 3  # their labels cannot be given


class Reddest(nn.Module):
    """Answers 3 for anything, but would next answer by how red an image is: 0 if it is, else 1."""

    def forward(self, images):
        red = images[:, 0].mean((1, 2))
        return torch.stack([red, -red, torch.zeros_like(red), torch.full_like(red, 9)], 1)


@pytest.fixture
def colours(tmp_path) -> ImageTree:
    """Of four images `Reddest` would be right about three."""
    save(tmp_path / "x" / "a.JPEG", (255, 0, 0)), save(tmp_path / "x" / "b.JPEG", (250, 0, 0))
    save(tmp_path / "y" / "a.JPEG", (0, 0, 255)), save(tmp_path / "y" / "b.JPEG", (255, 255, 255))
    return ImageTree(tmp_path, {0: "x", 1: "y"}, 8, 8)


def test_accuracy_of_a_learner(colours):
    assert accuracy(Reddest(), colours, (0, 1)) == 75
    assert accuracy(Reddest(), colours) == accuracy(Reddest(), colours, (0, 1, 2, 3)) == 0
    in_memory = ImageSet(torch.stack([image for image, _ in colours]), colours.labels)
    assert accuracy(Reddest(), in_memory, (0, 1)) == 75
    assert errors_by_class(Reddest(), colours, 4).tolist() == errors_by_class(Reddest(), in_memory, 4).tolist()
    assert errors_by_class(Reddest(), colours, 4).tolist() == [2, 2, 0, 0]  # it answers 3 for anything


def test_images_that_are_evaluated_again_are_decoded_once(colours, monkeypatch):
    monkeypatch.setattr(evaluate, "DECODED_BATCH", 3)
    kept = kept_share(colours)
    with monkeypatch.context() as little:
        little.setattr(evaluate, "KEPT_BYTES", 0)
        assert kept_share(colours) is colours  # too large: read anew each time
    first = accuracy(Reddest(), kept, (0, 1))
    for row in range(len(colours)):
        colours.path(row).unlink()
    assert accuracy(Reddest(), kept, (0, 1)) == first == 75


def test_r_is_judged_by_the_logits_of_its_own_classes(tmp_path):
    """A learner that likes a class that R has no images of is right on R, but not on Sketch, which has them all."""
    in_r = folders_of("r", "imagenet100")
    absent = next(label for label in range(100) if label not in in_r)
    redder, other = (list(in_r)[k] for k in (0, 1))
    for label, folder in folders_of("sketch", "imagenet100").items():
        for root in ("r", "sketch") if label in in_r else ("sketch",):
            save(tmp_path / root / folder / "a.jpg", (255, 0, 0) if label == redder else (0, 0, 0), size=(8, 8))

    class Likes(nn.Module):
        def forward(self, images):
            logits = torch.zeros(len(images), 100)
            logits[:, redder], logits[:, other], logits[:, absent] = images[:, 0].mean((1, 2)), 0.1, 9
            return logits

    found = measured(Likes(), [open_set(name, tmp_path / name, "imagenet100", 8, 8) for name in ("r", "sketch")])
    assert found["r"] == {"images": len(in_r), "accuracy": pytest.approx(100 * 2 / len(in_r))}
    assert found["sketch"] == {"images": 100, "accuracy": 1.0}  # the one class it always answers
    right_of_all = accuracy(Likes(), open_set("r", tmp_path / "r", "imagenet100", 8, 8).data)
    assert right_of_all == 0


class Comparing(nn.Module):
    """Answers 1 for what is redder than the mean of its batch: what it says depends on what it is asked with."""

    def forward(self, images):
        red = images[:, 0].mean((1, 2))
        return torch.stack([red.mean().expand(len(red)), red], 1)


def share(rank: int, world: int, port: int, real: ImageTree | ImageSet, folder: Path) -> None:
    as_torchrun_does(rank, world, port)
    evaluate.BATCH = 40
    processes.join()
    (folder / f"{world}-{rank}").write_text(str(accuracy(Comparing(), real)))
    processes.leave()


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_any_number_of_processes_finds_the_same_accuracy(tmp_path, monkeypatch, kind):
    """Three batches and a bit, so that shares are unequal."""
    monkeypatch.setattr(evaluate, "BATCH", 40)
    rng = np.random.default_rng(0)
    for k in range(130):
        save(tmp_path / "xy"[k % 2] / f"{k}.png", (int(rng.integers(256)), 0, 0), size=(4, 4), format="PNG")
    real = ImageTree(tmp_path, {0: "x", 1: "y"}, 4, 4)
    real = real if kind == "files" else ImageSet(torch.stack([image for image, _ in real]), real.labels)
    (tmp_path / "found").mkdir()
    for world in (2, 4):
        started = spawned(share, world, real, tmp_path / "found")
        for each in started:
            each.join()
        assert [each.exitcode for each in started] == [0] * world
    found = {path.name: float(path.read_text()) for path in (tmp_path / "found").iterdir()}
    assert len(found) == 6 and set(found.values()) == {accuracy(Comparing(), real)}
    assert 0 < accuracy(Comparing(), real) < 100
