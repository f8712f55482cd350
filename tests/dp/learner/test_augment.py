"""Augmentation: geometry, and that a part of a batch gets what the whole batch would have given it."""

import pytest
import torch

from dp.config import PracticeConfig
from dp.learner.augment import ResizedCrop, Shift, mixing
from dp.utils.errors import UserError


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose two channels are row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns]).byte().expand(count, 2, height, width)


@pytest.mark.parametrize("kind", [Shift, ResizedCrop])
def test_parts_get_what_the_whole_gives(kind):
    images = torch.randint(256, (12, 3, 40, 36), generator=rng()).byte()
    augment = kind.draw(12, (40, 36), 32, rng(1))
    whole = augment(images, slice(None))
    parts = [augment(images[i : i + 4], slice(i, i + 4)) for i in range(0, 12, 4)]
    assert torch.equal(torch.cat(parts), whole) and whole.shape == (12, 3, 32, 32) and whole.dtype == torch.uint8


def test_shifts_are_crops_at_every_place():
    crops = Shift.draw(2000, (32, 30), 28, rng())(places(2000, 32, 30), slice(None))
    tops, lefts = crops[:, 0, 0, 0].long(), crops[:, 1, 0, 0].long()
    assert tops.bincount().tolist() == pytest.approx([400] * 5, abs=80)
    assert lefts.bincount().tolist() == pytest.approx([667] * 3, abs=100)
    for crop, top, left in zip(crops[:50], tops[:50], lefts[:50], strict=True):
        assert torch.equal(crop, places(1, 32, 30)[0, :, top : top + 28, left : left + 28])


def test_resized_crops_have_the_areas_shapes_and_mirrors_asked_for():
    """Rows and columns are linear in the image, so their range in a crop tells its height and width."""
    crops = ResizedCrop.draw(400, (200, 240), 64, rng())(places(400, 200, 240), slice(None)).float()
    heights = crops[:, 0].amax((1, 2)) - crops[:, 0].amin((1, 2)) + 1
    widths = crops[:, 1].amax((1, 2)) - crops[:, 1].amin((1, 2)) + 1
    areas = heights * widths / (200 * 240)
    assert areas.min() > 0.05 and areas.max() <= 1 and 0.45 < areas.mean() < 0.6
    inside = areas < 0.5  # a larger crop may not fit in its shape
    ratios = (widths / heights)[inside]
    assert ratios.min() > 0.7 and ratios.max() < 1.43
    mirrored = crops[:, 1, 0, 0] > crops[:, 1, 0, -1]
    assert 160 < mirrored.sum() < 240


def test_mixing_keeps_the_weight_of_labels_and_mixes_the_images():
    torch.manual_seed(0)
    images, labels = torch.rand(8, 1, 16, 16), torch.arange(8) % 4
    for mixup, cutmix in ((0.5, 0.0), (0.0, 1.0), (0.5, 1.0)):
        mixed, weights = mixing(mixup, cutmix, 4)(images, labels)
        assert weights.shape == (8, 4) and torch.allclose(weights.sum(1), torch.ones(8))
        assert not torch.equal(mixed, images)
    same, untouched = mixing(0.0, 0.0, 4)(images, labels)
    assert torch.equal(same, images) and torch.equal(untouched, labels)


@pytest.mark.parametrize(("batch", "micro", "parts"), [(64, 0, 1), (64, 64, 1), (64, 16, 4), (2048, 64, 32)])
def test_parts_of_a_batch(batch, micro, parts):
    assert PracticeConfig(batch_size=batch, micro_batch=micro).parts == parts


@pytest.mark.parametrize(("batch", "micro"), [(64, 24), (64, 128), (96, 32), (64, 5)])
def test_parts_that_no_pairs_can_be_made_of(batch, micro):
    with pytest.raises(UserError, match=f"micro_batch: got {micro} for a batch_size of {batch}"):
        PracticeConfig(batch_size=batch, micro_batch=micro)
