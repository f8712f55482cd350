"""Measure each way of guiding: time, operations and memory on the bundled pipeline, operations at full size."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import nn
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

from benchmarks.guidance_quality import STEPS, Variant
from dp.generation.generator import PLAIN, Generator
from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.paper.costs import cost_ratio, operations, sd15_parts, sd15_timesteps
from dp.pretrained.load import bundled_decoder, bundled_pipeline
from dp.utils.device import autocast
from dp.utils.seeding import stream

SD15_STEPS = 50
OMEGA = 0.3  # no cost depends on it


def sd15_cost_ratio(variant: Variant) -> float:
    """Counted operations of a guided image over a plain one: Stable Diffusion 1.5, 512 px, 50 DDIM steps, ViT-B/16."""
    return cost_ratio(sd15_parts(variant.decoder), sd15_timesteps(SD15_STEPS), variant.config(OMEGA))


class Bundled:
    """The bundled pipeline, sampled n images at a time as `dp.generation.generator` does."""

    def __init__(self, learner: nn.Module, guidance_scale: float, n: int, steps: int = STEPS):
        self.learner = learner
        self.n = n
        pipe = bundled_pipeline()
        decoders = {"vae": None, "tiny": bundled_decoder("tiny"), "linear": bundled_decoder("linear")}
        self.generators = {
            name: Generator(pipe, guidance_scale, steps, n, decoder=decoder) for name, decoder in decoders.items()
        }

    def sample(self, variant: Variant | None) -> None:
        """One batch, guided or (None) plain."""
        generator = self.generators[variant.decoder if variant else "vae"]
        guidance = variant.config(OMEGA) if variant else PLAIN
        generator.generate(torch.arange(self.n) % 10, list(range(self.n)), self.learner, guidance)


def seconds(run: Callable[[], object]) -> float:
    """Processor time of a call in this process, which other processes disturb less than they do a clock."""
    start = time.process_time()
    run()
    return time.process_time() - start


def in_turns(first: Callable[[], object], second: Callable[[], object], turns: int) -> list[float]:
    """Time of `second` over that of `first`, each turn's two calls one after the other, their order alternating."""
    ratios = []
    for turn in range(turns):
        if turn % 2:
            b, a = seconds(second), seconds(first)
        else:
            a, b = seconds(first), seconds(second)
        ratios.append(b / a)
    return ratios


def middle(ratios: list[float]) -> dict[str, Any]:
    """Median and quartiles."""
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "ratio": round(statistics.median(ratios), 4),
        "quartiles": [round(quartiles[0], 4), round(quartiles[2], 4)],
        "turns": len(ratios),
    }


def variant_costs(
    variants: list[Variant], learner: nn.Module, guidance_scale: float, turns: int, n: int = 64
) -> list[dict[str, Any]]:
    """Return, guided over plain, operations at full size; operations, time and memory on the bundled one."""
    timed, counted = Bundled(learner, guidance_scale, n), Bundled(learner, guidance_scale, 2)
    timed.sample(None)  # warm up
    plain_operations = operations(lambda: counted.sample(None))
    plain_memory = peak_memory(lambda: timed.sample(None))
    rows = []
    for variant in tqdm(variants, "costs"):
        guided = partial(timed.sample, variant)
        guided()
        ratios = middle(in_turns(lambda: timed.sample(None), guided, turns))
        rows.append(
            {
                "name": variant.name,
                "sd15_cost_ratio": round(sd15_cost_ratio(variant), 4),
                "bundled_operations_ratio": round(operations(partial(counted.sample, variant)) / plain_operations, 4),
                "measured_cost_ratio": ratios["ratio"],
                "measured_cost_quartiles": ratios["quartiles"],
                "memory_ratio": round(peak_memory(guided) / plain_memory, 3),
            }
        )
    return rows


def peak_memory(run: Callable[[], object]) -> int:
    """Bytes that tensors made inside a call occupy at most at one time (torch.profiler's allocations, summed)."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def memory_by_steps(learner: nn.Module, guidance_scale: float, n: int = 64) -> list[dict[str, Any]]:
    """Peak memory of n images at several numbers of steps, all of them guided."""
    rows = []
    for variant in (None, Variant("x0", interval=(0.0, 1.0)), Variant("unet", interval=(0.0, 1.0))):
        for steps in (5, 10, 20):
            bundled = Bundled(learner, guidance_scale, n, steps)
            peak = peak_memory(partial(bundled.sample, variant))
            name = variant.gradient if variant else "plain"
            rows.append({"gradient": name, "steps": steps, "megabytes": round(peak / 1e6, 1)})
    return rows


def stock_ratio(guidance_scale: float, turns: int, n: int = 100) -> dict[str, Any]:
    """Time of plain images from `Generator` over the pipeline's own with diffusers' scheduler, called directly."""
    labels, seeds = torch.arange(n) % 10, list(range(n))
    generator = Generator(bundled_pipeline(), guidance_scale, STEPS, n)
    stock: LatentClassPipeline = bundled_pipeline()
    stock.scheduler = DDIMScheduler.from_config(stock.scheduler.config)

    def call() -> torch.Tensor:
        rngs = [stream(seed) for seed in seeds]
        with autocast(stock.device):
            return stock(labels, STEPS, guidance_scale, generator=rngs, output_type="pt", return_dict=False)[0]

    same = torch.equal(generator.generate(labels, seeds).images.float(), call().float().mul(255).round())
    return middle(in_turns(call, lambda: generator.generate(labels, seeds), turns)) | {"same_images": same}
