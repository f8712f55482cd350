import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dp.samples import Samples
from dp.selection.prune import hardest, prune
from dp.utils.errors import UserError


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


def pruned(every: Samples, keep: int, ratio: float, num_classes: int | None, **settings) -> Samples:
    learner = LogitsAreThePixels(int(every.labels.max()) + 1).eval()
    return prune(lambda numbers: every[torch.tensor(numbers)], learner, keep, ratio, num_classes, **settings)


def brute_force(every: Samples, score: str, keep: int, num_classes: int | None) -> list[int]:
    """Numbers of the kept candidates, by sorting them all."""
    logits = (every.images[:, 0, 16, 11 : 12 + int(every.labels.max())].float() / 127.5 - 1) * 3
    p = logits.softmax(1)
    top = p.sort(dim=1, descending=True).values
    hardness = -(p * p.log()).sum(1) if score == "entropy" else top[:, 1] - top[:, 0]
    order = sorted(range(len(every)), key=lambda i: (-round(hardness[i].item(), 4), i))
    if num_classes is None:
        return sorted(order[:keep])
    kept: list[int] = []
    for label in range(num_classes):
        quota = len(range(label, keep, num_classes))
        kept += [i for i in order if every.labels[i] == label][:quota]
    return sorted(kept)


@pytest.mark.parametrize("score", ["entropy", "margin"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 60, 1000])
def test_pruning_is_sorting_at_any_chunk_size(score, balanced, chunk):
    every = candidates(60, 3, levels=4)  # few levels: many ties
    num_classes = 3 if balanced else None
    kept = pruned(every, 20, 3, num_classes, score=score, chunk=chunk)
    assert kept.seeds.tolist() == brute_force(every, score, 20, num_classes)
    assert torch.equal(kept.images, every.images[kept.seeds])


def test_classes_are_balanced_and_the_first_get_the_rest():
    every = candidates(100, 10)
    assert pruned(every, 23, 4, 10, chunk=30).labels.bincount().tolist() == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
    assert pruned(every, 23, 4, None, chunk=30).labels.bincount().tolist() != [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]


def test_the_record_is_filled_in():
    every = candidates(40, 4)
    kept = pruned(every, 10, 4, 4)
    p = ((kept.images[:, 0, 16, 11:15].float() / 127.5 - 1) * 3).softmax(1)
    # The learner may compute in bfloat16.
    torch.testing.assert_close(kept.entropy, -(p * p.log()).sum(1), atol=2e-2, rtol=0)
    assert kept.entropy.dtype == torch.float32 and kept.correct.dtype == torch.int8
    assert kept.correct.tolist() == (p.argmax(1) == kept.labels).int().tolist()


def test_ratio_one_keeps_everything():
    every = candidates(12, 4)
    assert pruned(every, 12, 1, 4, chunk=5).seeds.tolist() == list(range(12))


def test_no_more_than_a_chunk_is_made_at_a_time():
    every, asked = candidates(50, 2), []

    def make(numbers: list[int]) -> Samples:
        asked.append(numbers)
        return every[torch.tensor(numbers)]

    prune(make, LogitsAreThePixels(2).eval(), 10, 4.5, 2, chunk=20)
    assert [len(numbers) for numbers in asked] == [20, 20, 5]
    assert [number for numbers in asked for number in numbers] == list(range(45))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=40), st.integers(1, 20), st.data()
)
def test_pruning_what_two_parts_kept_is_pruning_the_whole(rows, keep, data):
    scores = torch.tensor([float(score) for score, _ in rows])
    labels = torch.tensor([label for _, label in rows])
    for num_classes in (None, 3):
        cut = data.draw(st.integers(0, len(rows)))
        parts = [
            hardest(scores[:cut], labels[:cut], keep, num_classes),
            cut + hardest(scores[cut:], labels[cut:], keep, num_classes),
        ]
        held = torch.cat(parts)
        again = held[hardest(scores[held], labels[held], keep, num_classes)]
        assert again.tolist() == hardest(scores, labels, keep, num_classes).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0}, "keep: got 0, expected 1 or more"),
        ({"ratio": 0.5}, "ratio: got 0.5, expected a number of 1 or more"),
        ({"ratio": math.nan}, "ratio: got nan"),
        ({"ratio": math.inf}, "ratio: got inf"),
        ({"chunk": 0}, "chunk: got 0"),
        ({"score": "loss"}, 'score: got "loss", expected one of entropy, margin'),
        ({"num_classes": 1}, "num_classes: got 1, expected 2 or more, or None"),
        ({"num_classes": 20}, "num_classes: got 20, but 16 candidates have too few of some class"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    every = candidates(16, 4)
    asked = {"keep": 8, "ratio": 2.0, "num_classes": 4} | change
    with pytest.raises(UserError, match=message) as error:
        pruned(every, **asked)
    assert "\n" not in str(error.value)


def test_a_learner_that_gives_nan_is_refused():
    every = candidates(16, 4)
    learner = nn.Sequential(LogitsAreThePixels(4), nn.BatchNorm1d(4)).eval()
    nn.init.constant_(learner[1].bias, math.nan)
    with pytest.raises(UserError, match="learner: got nan or inf among the logits of 16 of 16 images"):
        prune(lambda numbers: every[torch.tensor(numbers)], learner, 8, 2, 4)


def test_labels_outside_the_classes_are_refused():
    every = candidates(16, 4)
    with pytest.raises(UserError, match=r"labels: got -1 \.\. 3, expected classes in 0 \.\. 3"):
        pruned(replace(every, labels=torch.where(every.labels == 2, -1, every.labels)), 8, 2, 4)
