"""How many images are guided at once."""

import pytest
import torch

from dp.generation import guided_batch
from dp.generation.generator import Generator
from dp.generation.guided_batch import checkpoint, checkpointable, fit_guided_batch
from dp.guidance.guidance import GuidanceConfig
from dp.utils.errors import UserError

THROUGH_NETWORK = GuidanceConfig(0.3, (0.0, 1.0), gradient="unet")


def learner(images):
    return images.flatten(1)[:, :100] * 9


def kept_by(call) -> int:
    """Return the bytes that graphs keep for their backward passes, of everything that is computed in a call."""
    kept = 0

    def keep(tensor):
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return kept


def test_gradient_checkpointing_changes_no_image_and_keeps_less(stable_diffusion):
    generator = Generator(stable_diffusion, 2.0, 2, 4, ("cat", "dog"))
    made, kept = [], []

    def make() -> None:
        made.append(generator.generate(torch.arange(4) % 2, range(4), learner, THROUGH_NETWORK).images)

    kept.append(kept_by(make))
    parts = checkpointable(generator, THROUGH_NETWORK)
    assert parts == [stable_diffusion.vae, stable_diffusion.unet]
    checkpoint(parts)
    kept.append(kept_by(make))
    assert torch.equal(*made)
    assert kept[1] < 0.6 * kept[0]
    assert checkpointable(generator, GuidanceConfig(0.3)) == [stable_diffusion.vae]


def test_plain_and_guided_batches_have_their_own_sizes(stable_diffusion):
    classes, labels, seeds = ("cat", "dog"), torch.arange(5) % 2, range(5)
    both = Generator(stable_diffusion, 2.0, 2, 4, classes, guided_batch=3)
    for size, guidance in ((4, GuidanceConfig(0.0)), (3, THROUGH_NETWORK)):
        assert both.batch_of(guidance) == size
        alone = Generator(stable_diffusion, 2.0, 2, size, classes)
        ours, theirs = (each.generate(labels, seeds, learner, guidance) for each in (both, alone))
        assert torch.equal(ours.images, theirs.images) and torch.equal(ours.entropy, theirs.entropy)


@pytest.mark.parametrize(
    ("room", "given", "chosen"),
    [
        (10**9, None, (32, False)),  # all fit
        (150, None, (32, True)),
        (100, None, (16, True)),  # 32 with checkpointing take 2 + 32 * 3 and the margin
        (150, 40, (40, True)),
        (7, None, (1, True)),
    ],
)
def test_a_batch_that_does_not_fit_is_checkpointed_and_then_halved(stable_diffusion, monkeypatch, room, given, chosen):
    """A device whose memory is used in proportion: 2 for weights, 9 an image, or 3 with gradient checkpointing."""
    generator = simulated(stable_diffusion, monkeypatch, room, given)
    fit_guided_batch(generator, torch.nn.Identity(), THROUGH_NETWORK)
    assert (generator.guided_batch, stable_diffusion.unet.is_gradient_checkpointing) == chosen
    assert generator.batch_size == 32


@pytest.mark.parametrize(
    ("given", "room", "advice"), [(64, 100, "16 do: give --guided-batch 16"), (None, 4, "bfloat16")]
)
def test_what_cannot_fit_is_told_before_anything_is_made(stable_diffusion, monkeypatch, given, room, advice):
    generator = simulated(stable_diffusion, monkeypatch, room, given)
    with pytest.raises(UserError, match=f"guided_batch: {given or 32} guided images at once do not fit .*{advice}"):
        fit_guided_batch(generator, torch.nn.Identity(), THROUGH_NETWORK)


def test_what_training_will_take_is_left_free(stable_diffusion, monkeypatch):
    generator = simulated(stable_diffusion, monkeypatch, 110, None)
    fit_guided_batch(generator, torch.nn.Identity(), THROUGH_NETWORK, reserve=50)
    assert generator.guided_batch == 16


def test_on_a_cpu_nothing_is_tried(stable_diffusion, monkeypatch):
    monkeypatch.setattr(guided_batch, "peak_of", lambda *_: pytest.fail("tried"))
    generator = Generator(stable_diffusion, 2.0, 2, 4, ("cat", "dog"))
    fit_guided_batch(generator, torch.nn.Identity(), THROUGH_NETWORK)
    assert generator.guided_batch == 4


def simulated(pipe, monkeypatch, room: int, given: int | None) -> Generator:
    generator = Generator(pipe, 2.0, 2, 32, ("cat", "dog"), guided_batch=given)

    def peak_of(generator, learner, guidance) -> int | None:
        peak = 2 + (3 if pipe.unet.is_gradient_checkpointing else 9) * generator.guided_batch
        return peak if peak <= room else None

    monkeypatch.setattr(type(pipe), "_execution_device", torch.device("cuda"))
    monkeypatch.setattr(guided_batch, "peak_of", peak_of)
    monkeypatch.setattr(guided_batch, "room", lambda: room)
    return generator
