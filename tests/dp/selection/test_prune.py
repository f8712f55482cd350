import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dp.samples import Samples
from dp.selection.prune import SCORES, hardest, judged
from dp.selection.tiling import logits_in_tiles


class LogitsAreThePixels(nn.Module):
    """A learner whose logits are a row of pixels around the centre, wherever images are cropped."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        row, first = images.shape[2] // 2, images.shape[3] // 2 - 5
        return images[:, 0, row, first : first + self.classes].float() * 3


def candidates(count: int, classes: int, levels: int = 256) -> Samples:
    """`count` images whose logits are random; few `levels` make many equal ones."""
    rng = torch.Generator().manual_seed(count)
    images = torch.zeros(count, 1, 32, 32, dtype=torch.uint8)
    images[:, 0, 16, 11 : 11 + classes] = (
        torch.randint(levels, (count, classes), generator=rng) * (256 // levels)
    ).byte()
    index = torch.arange(count)
    unknown = torch.full((count,), math.nan)
    return Samples(
        images,
        index % classes,
        index,
        index * 0,
        index * 0.0,
        unknown,
        unknown,
        index.to(torch.int8) * 0 - 1,
        index * 0,
    )


def learner_for(every: Samples) -> nn.Module:
    return LogitsAreThePixels(int(every.labels.max()) + 1).eval()


def brute_force(every: Samples, score: str, keep: int, num_classes: int) -> list[int]:
    """Numbers of the kept candidates, by sorting them all."""
    logits = (every.images[:, 0, 16, 11 : 12 + int(every.labels.max())].float() / 127.5 - 1) * 3
    p = logits.softmax(1)
    top = p.sort(dim=1, descending=True).values
    hardness = -(p * p.log()).sum(1) if score == "entropy" else top[:, 1] - top[:, 0]
    order = sorted(range(len(every)), key=lambda i: (-round(hardness[i].item(), 4), i))
    kept: list[int] = []
    for label in range(num_classes):
        quota = len(range(label, keep, num_classes))
        kept += [i for i in order if every.labels[i] == label][:quota]
    return sorted(kept)


@pytest.mark.parametrize("score", ["entropy", "margin"])
def test_pruning_is_sorting(score):
    every = candidates(60, 3, levels=4)  # few levels: many ties
    scores = SCORES[score](logits_in_tiles(learner_for(every), every.images))
    assert hardest(scores, every.labels, 20, 3).tolist() == brute_force(every, score, 20, 3)


def test_classes_are_balanced_and_the_first_get_the_rest():
    every = candidates(100, 10)
    kept = hardest(judged(every, learner_for(every)).entropy, every.labels, 23, 10)
    assert every.labels[kept].bincount().tolist() == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    assert kept.tolist() == brute_force(every, "entropy", 23, 10)


def test_the_record_is_filled_in():
    every = candidates(40, 4)
    kept = judged(every, learner_for(every))
    p = ((kept.images[:, 0, 16, 11:15].float() / 127.5 - 1) * 3).softmax(1)
    # The learner may compute in bfloat16.
    torch.testing.assert_close(kept.entropy, -(p * p.log()).sum(1), atol=2e-2, rtol=0)
    assert kept.entropy.dtype == torch.float32 and kept.correct.dtype == torch.int8
    assert kept.correct.tolist() == (p.argmax(1) == kept.labels).int().tolist()


def test_as_many_as_there_are_keep_everything():
    every = candidates(12, 4)
    assert hardest(judged(every, learner_for(every)).entropy, every.labels, 12, 4).tolist() == list(range(12))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=40), st.integers(1, 20), st.data()
)
def test_pruning_what_two_parts_kept_is_pruning_the_whole(rows, keep, data):
    scores = torch.tensor([float(score) for score, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    cut = data.draw(st.integers(0, len(rows)))
    parts = [hardest(scores[:cut], labels[:cut], keep, 3), cut + hardest(scores[cut:], labels[cut:], keep, 3)]
    held = torch.cat(parts)
    again = held[hardest(scores[held], labels[held], keep, 3)]
    assert again.tolist() == hardest(scores, labels, keep, 3).tolist()
