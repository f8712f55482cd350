"""Labels and seeds in, images out: a diffusion pipeline as Deliberate Practice uses it."""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from dp.errors import UserError
from dp.guidance import EntropyGuidance
from dp.pipelines import LatentClassPipeline
from dp.precision import autocast
from dp.randomness import stream
from dp.schedulers import EntropyGuidedDDIMScheduler

Learner = Callable[[Tensor], Tensor]  # images float [B, C, H, W] in [-1, 1] -> logits [B, K]


class Generator:
    """Samples images from a pipeline, plainly or guided by a learner.

    An image depends on its label, its seed and (guided) the learner alone: every batch is computed at exactly
    `batch_size` images, the last one filled up, so neither the request's size nor its order changes a bit.

    Attributes:
        pipe: the pipeline; its scheduler is replaced by the guided DDIM scheduler of the same configuration.
        guidance_scale: classifier-free guidance scale, 1 + lambda_cfg of the paper.
        steps: DDIM steps.
        batch_size: images computed at once.
    """

    def __init__(self, pipe: LatentClassPipeline, guidance_scale: float, steps: int = 10, batch_size: int = 100):
        self.pipe = pipe
        self.pipe.scheduler = EntropyGuidedDDIMScheduler.from_config(pipe.scheduler.config)
        self.guidance_scale = guidance_scale
        self.steps = steps
        self.batch_size = batch_size

    def generate(
        self,
        labels: Tensor,
        seeds: list[int],
        learner: Learner | None = None,
        omega: float = 0.0,
        guided_below: float = 0.4,
        progress: str | None = None,
    ) -> Tensor:
        """One image a label.

        Args:
            labels: int64 [n].
            seeds: n seeds, one an image.
            learner: guides when omega > 0; in eval mode.
            omega: relative guidance step, see `EntropyGuidance`.
            guided_below: guide only where the noise level t / T is below this.
            progress: a bar with this title on stderr.

        Returns:
            uint8 [n, C, H, W].
        """
        if len(labels) != len(seeds):
            raise UserError(f"seeds: got {len(seeds)} for {len(labels)} labels; give one seed a label")
        images = []
        for start in tqdm(range(0, len(labels), self.batch_size), progress, disable=progress is None):
            part = slice(start, start + self.batch_size)
            images.append(self._batch(labels[part], seeds[part], learner, omega, guided_below))
        return torch.cat(images)

    def _batch(
        self, labels: Tensor, seeds: list[int], learner: Learner | None, omega: float, guided_below: float
    ) -> Tensor:
        missing = self.batch_size - len(labels)
        filled = torch.cat([labels, labels[-1:].expand(missing)])
        rngs = [stream(seed) for seed in seeds + seeds[-1:] * missing]
        device = self.pipe.device
        scheduler = self.pipe.scheduler
        if learner is not None and omega > 0:
            scheduler.guidance = EntropyGuidance(
                learner, self.pipe.decode, scheduler.alphas_cumprod, omega, guided_below
            )
        try:
            with autocast(device):
                images = self.pipe(
                    filled, self.steps, self.guidance_scale, generator=rngs, output_type="pt", return_dict=False
                )[0]
        finally:
            scheduler.guidance = None
        return images[: len(labels)].float().mul(255).round().to(torch.uint8).cpu()
