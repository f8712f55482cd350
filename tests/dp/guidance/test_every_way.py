"""Every way of guiding that the library offers raises the entropy of a Stable Diffusion pipeline's images."""

import itertools
from typing import get_args

import pytest
import torch
from torch import nn

from dp.generation.generator import Generator
from dp.guidance.guidance import Gradient, GuidanceConfig
from dp.pretrained.fit_decoder import distil_tiny, explained, fit_linear, latents_and_images

GRADIENTS, DECODERS = get_args(Gradient), ("vae", "tiny", "linear")
SEEDS = list(range(64))
LABELS = torch.arange(len(SEEDS)) % 2


def untrained() -> nn.Module:
    """A learner that is sure of some images: their entropies are 0.7 to 1.36 nats, log 4 = 1.39 being the most."""
    torch.manual_seed(0)
    learner = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.Tanh(), nn.Flatten(), nn.Linear(288, 4))
    with torch.no_grad():
        learner[-1].weight *= 8
    return learner


def test_entropy_rises_whichever_gradient_and_decoder_are_taken(stable_diffusion):
    """The mean gain over plain images of the same seeds and prompts is above three standard errors."""

    def generator(decoder: nn.Module | None = None) -> Generator:
        return Generator(stable_diffusion, 2.0, 4, 32, ("cat", "dog"), decoder=decoder)

    learner = untrained()
    pairs = latents_and_images(generator(), 128, seed=1)
    decoders = {"vae": None, "tiny": distil_tiny(*pairs, iterations=150), "linear": fit_linear(*pairs)}
    for name in ("tiny", "linear"):
        with torch.no_grad():
            rest = decoders[name].decode(pairs[0]).sample - pairs[1]
        share = 1 - rest.square().mean().item() / pairs[1].var().item()
        assert explained(decoders[name], *pairs) == pytest.approx(share, abs=1e-4) and share > 0
    plain = generator().generate(LABELS, SEEDS, learner, GuidanceConfig(omega=0.0))
    found = {}
    for gradient, decoder in itertools.product(GRADIENTS, DECODERS):
        config = GuidanceConfig(0.3, (0.0, 1.0), gradient=gradient)
        guided = generator(decoders[decoder]).generate(LABELS, SEEDS, learner, config)
        gain = guided.entropy - plain.entropy
        found[gradient, decoder] = (gain.mean() / gain.std() * len(gain) ** 0.5).item()
    assert len(found) == 6 and min(found.values()) > 3, found
