"""Measure what only a GPU can tell: seconds, memory and largest batches of the paper's modules at full size.

Command   python benchmarks/accelerator.py               (one GPU; writes benchmarks/results/accelerator.json)
          torchrun --nproc-per-node 8 benchmarks/accelerator.py     (the GPUs of a node: training alone changes)
          python benchmarks/accelerator.py --small       (every part on what there is, tiny; keeps nothing)
Time      meant for 8 minutes; not run on a GPU by its authors yet
Expected  guided over plain images near the 1.82 that the paper measured on an H100; 32 guided images on 80 GB

Stable Diffusion 1.5's modules with random weights at 512 pixels and a ViT-B/16 of 224: nothing is fetched. A part that
fails is recorded with the reason, and the others go on.

    training     images per second of the loop's step, of a bare one with torch's engine, compiled; share of peak
    plain        seconds per image, peak memory; channels-last; compiled
    guided       the same through U-Net and VAE, and with x0; every step and every fifth; late; the batch that fits
    checkpoint   seconds that training waits for the checkpoint of a ViT-B
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from dp.config import PracticeConfig
from dp.generation.generator import Generator
from dp.generation.guided_batch import fit_guided_batch
from dp.guidance.guidance import GuidanceConfig
from dp.learner.models import build_learner, on_full_images
from dp.paper.costs import SD15_SCHEDULE, SD15_UNET, SD15_VAE, TEXT_TOKENS, training_step
from dp.pool.in_memory import Pool
from dp.practice.compute import Compute
from dp.practice.gradients import gradient_of
from dp.practice.state import start
from dp.practice.train_step import draw_batch, train_iteration
from dp.runs.checkpoints import CheckpointWriter
from dp.samples import Samples, unjudged
from dp.utils import distributed as processes
from dp.utils.device import autocast, best_device, number_format
from dp.utils.files import write_json
from dp.utils.pixels import normalise
from dp.utils.provenance import provenance

RESULTS = Path(__file__).parent / "results" / "accelerator.json"
PEAKS = {"V100": 125e12, "A100": 312e12, "L40S": 362e12, "H100": 989e12, "H200": 989e12}  # as in `dp.paper.plan`


@dataclass(frozen=True)
class Size:
    """Sizes of everything."""

    learner: str = "vit_base_patch16_224"
    side: int = 224
    batch: int = 64  # of a process
    pixels: int = 512
    steps: int = 50
    guided_steps: int = 10  # sampling steps of timed guided images; seconds are given for `steps`
    images: int = 16
    iterations: int = 20
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    vae_channels: tuple[int, ...] = (128, 256, 512, 512)
    text_layers: int = 12


FULL = Size()
SMALL = Size("vit_tiny_patch16_224", 32, 4, 32, 4, 4, 2, 2, (32, 32, 32, 32), (32, 32, 32, 32), 1)


def tokenizer(folder: Path) -> CLIPTokenizer:
    """Return a tokenizer of letters; which tokens a prompt has does not matter."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=TEXT_TOKENS)


def pipeline(size: Size) -> StableDiffusionPipeline:
    """Return Stable Diffusion 1.5 with random weights, in bfloat16 on a GPU."""
    torch.manual_seed(0)
    sizes = {"sample_size": size.pixels // 8, "block_out_channels": size.channels}
    layers = {"num_hidden_layers": size.text_layers, "num_attention_heads": 12}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, **layers, **ends)
    dtype, before = torch.bfloat16 if best_device().type == "cuda" else torch.float32, torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with tempfile.TemporaryDirectory() as folder, torch.device(best_device()):
            unet = UNet2DConditionModel(**SD15_UNET | sizes)
            vae = AutoencoderKL(**SD15_VAE | {"block_out_channels": size.vae_channels, "sample_size": size.pixels})
            pipe = StableDiffusionPipeline(
                unet=unet.eval().requires_grad_(False),
                vae=vae.eval().requires_grad_(False),
                text_encoder=CLIPTextModel(text).eval().requires_grad_(False),
                tokenizer=tokenizer(Path(folder)),
                scheduler=DDIMScheduler(**SD15_SCHEDULE, clip_sample=False),
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
    finally:
        torch.set_default_dtype(before)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(best_device())


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of a call after one to warm up; the GPU is waited for."""

    def finish() -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    call()
    finish()
    began = time.perf_counter()
    call()
    finish()
    return time.perf_counter() - began


def peak(call: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of a call, and on a GPU the gigabytes that it takes at most."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    found = {"seconds": seconds(call)}
    return found | ({"gigabytes": torch.cuda.max_memory_allocated() / 1e9} if torch.cuda.is_available() else {})


def training(size: Size, compiled: bool) -> dict[str, Any]:
    """Return images per second of the loop and of a bare step, all processes together, and the share of the peak."""
    batch = size.batch * processes.world()
    config = PracticeConfig(
        learner=size.learner, crop=size.side, rounds=0, n_per_round=0, batch_size=batch, augment="resized_crop"
    )
    samples = noise(256, size.side + size.side // 7)
    state = start(config, Pool(samples), 10, compute=Compute(compile=compiled, deterministic=False))
    state.compute.prepare(state.learner)
    gradient = gradient_of(config, state)
    drawn = draw_batch(config, state.pool, 0, ordered=False)

    def ours() -> None:
        for _ in range(size.iterations):
            train_iteration(config, state, drawn, gradient)

    device = best_device()
    learner: Any = build_learner(size.learner, 10, 3, size.side).to(device)
    wrapped = DistributedDataParallel(learner, gradient_as_bucket_view=True) if processes.world() > 1 else learner
    optimizer = torch.optim.AdamW(learner.parameters(), 1e-3, fused=True)
    _, images, labels = drawn[0]

    def bare() -> None:
        for _ in range(size.iterations):
            optimizer.zero_grad(set_to_none=True)
            with autocast(device):
                logits = wrapped(normalise(images.to(device, non_blocking=True)))
            F.cross_entropy(logits.float(), labels.to(device, non_blocking=True)).backward()
            optimizer.step()

    found = {"loop": batch * size.iterations / seconds(ours), "bare": batch * size.iterations / seconds(bare)}
    loading = batch / processes.world() / seconds(lambda: draw_batch(config, state.pool, 1, ordered=False))
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    top = next((value for key, value in PEAKS.items() if key in name), None)
    operations = training_step(size.learner, size.side) * found["loop"] / processes.world() if top else 0
    return found | {"loader": loading, "share_of_peak": operations / top if top else None, "compiled": compiled}


def noise(count: int, side: int) -> Samples:
    """Return images of noise."""
    images = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
    return unjudged(images, torch.arange(count) % 10, torch.arange(count))


def generating(
    size: Size, guidance: GuidanceConfig, decoder: Any = None, compute: Compute = Compute()
) -> dict[str, Any]:
    """Return seconds per image, memory, and the batch that was taken."""
    classes = [str(k) for k in range(10)]
    generator = Generator(pipeline(size), 3.0, size.steps, size.images, classes, decoder=decoder)
    compute.prepare_generator(generator)
    config = PracticeConfig(learner=size.learner, crop=0)
    learner = on_full_images(config, Resized(build_learner(size.learner, 10, 3, size.side), size.side)).to(
        best_device()
    )
    if guidance.omega:
        fit_guided_batch(generator, learner, guidance)
    batch, steps = generator.batch_of(guidance), size.steps
    if guidance.omega and guidance.every == 1:
        generator.steps = size.guided_steps
    found = peak(lambda: generator.generate([0] * batch, range(batch), learner, guidance))
    found["seconds"] *= steps / generator.steps / batch
    network: Any = generator.pipe.unet
    return {"batch": batch, "checkpointing": network.is_gradient_checkpointing} | found


class Resized(nn.Module):
    """Show a learner images of any size."""

    def __init__(self, learner: nn.Module, side: int):
        super().__init__()
        self.learner, self.side = learner, side

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] to logits."""
        return self.learner(F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True))


def checkpoint(size: Size) -> dict[str, float]:
    """Return the seconds that training waits for a checkpoint, and those until it is written."""
    config = PracticeConfig(learner=size.learner, crop=size.side, rounds=0, n_per_round=0)
    state = start(config, Pool(noise(4, size.side)), 10)
    for weight in state.learner.parameters():
        weight.grad = torch.zeros_like(weight)
    state.optimizer.step()
    writer = CheckpointWriter()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            before, began = writer.seconds, time.perf_counter()
            modules = {"learner": state.learner, "ema": state.ema}
            writer.save(Path(folder) / "checkpoint.safetensors", modules, state.optimizer)
            waited = writer.seconds - before
            writer.wait()
    return {"waits": waited, "written_after": time.perf_counter() - began}


def parts(size: Size, small: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is measured, in order."""
    plain, every = GuidanceConfig(omega=0.0), GuidanceConfig(0.05, (0.0, 1.0), gradient="unet")
    found: dict[str, Callable[[], dict[str, Any]]] = {
        "training": lambda: training(size, compiled=False),
        "checkpoint": lambda: checkpoint(size),
    }
    if processes.world() > 1:
        return found
    fifth, late = replace(every, every=5), replace(every, interval=(0.0, 0.4))
    through_vae = replace(every, gradient="x0")
    found |= {
        "plain": lambda: generating(size, plain),
        "plain channels-last": lambda: generating(size, plain, compute=Compute(channels_last=True)),
        "guided unet every 5": lambda: generating(size, fifth),
        "guided unet every 1": lambda: generating(size, every),
        "guided x0 every 1": lambda: generating(size, through_vae),
        "guided x0 every 5": lambda: generating(size, replace(through_vae, every=5)),
        "guided unet late": lambda: generating(size, late),
    }
    if not small:  # compilers take minutes
        tiny: Any = AutoencoderTiny().to(best_device(), torch.bfloat16).eval().requires_grad_(False)
        found |= {
            "guided x0 tiny every 5": lambda: generating(size, replace(through_vae, every=5), tiny),
            "training compiled": lambda: training(size, compiled=True),
            "plain compiled": lambda: generating(size, plain, compute=Compute(compile_generator=True)),
            "guided unet every 5 compiled": lambda: generating(size, fifth, compute=Compute(compile_generator=True)),
        }
    return found


def main() -> None:
    """Measure, or print what is recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", action="store_true", help="print the recorded results instead of measuring")
    parser.add_argument("--small", action="store_true", help="tiny modules, on a CPU too; keeps nothing")
    options = parser.parse_args()
    if options.recorded:
        print(RESULTS.read_text() if RESULTS.exists() else '{"measured": "not measured on a GPU"}')
        return
    if not options.small and not torch.cuda.is_available():
        sys.exit("error: device: got no GPU; run this where there is one, or with --small")
    processes.join()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    found: dict[str, Any] = {"device": device, "processes": processes.world()}
    for name, measure in parts(SMALL if options.small else FULL, options.small).items():
        try:
            found[name] = measure()
        except Exception as error:  # one part must not cost the others
            if options.small:
                raise
            found[name] = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        if processes.rank() == 0:
            print(name, json.dumps(found[name]), file=sys.stderr)
    if "plain" in found and "seconds" in found["plain"] and "seconds" in found["guided unet every 5"]:
        found["guided_over_plain"] = found["guided unet every 5"]["seconds"] / found["plain"]["seconds"]
    found |= {"number_format": str(number_format(best_device())), "made_by": provenance()}
    if processes.rank() == 0:
        print(json.dumps(found, indent=1))
        if not options.small:
            write_json(RESULTS, found)
    processes.leave()


if __name__ == "__main__":
    main()
