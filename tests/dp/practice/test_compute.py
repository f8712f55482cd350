"""What makes training faster changes nothing but rounding, and a run may go on without it."""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dp.config import PracticeConfig
from dp.data.image_set import ImageSet
from dp.practice.compute import Compute
from dp.practice.loop import run_practice
from dp.runs.folder import RunFolder
from dp.utils import device as precision
from dp.utils.device import number_format
from tests.dp.small import small_generator

CLASSES = tuple("abcdefghij")
COMPILERS = ("c++", "g++", "clang++")
CONFIG = PracticeConfig(
    n_initial=40, rounds=0, iterations=40, validate_every=4, batch_size=16, micro_batch=8, inference_steps=2
)
WAYS = {
    "plain": Compute(),
    "compiled": Compute(compile=True),
    "channels last": Compute(channels_last=True),
    "both": Compute(compile=True, channels_last=True),
}


def small_net() -> nn.Module:
    """With all that might go wrong: convolutions, statistics and random numbers."""
    torch.manual_seed(1)
    # No bias before batch norm: its gradient is rounding and nothing else, of which Adam makes whole steps.
    layers = [nn.Conv2d(1, 4, 3, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 4, 3, 2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 10))


def run(folder, *ways: str) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The learning curve and the weights of a run that goes on in another way each time it is half done."""
    rng = torch.Generator().manual_seed(0)
    real = ImageSet(torch.randint(256, (50, 1, 32, 32), generator=rng).byte(), torch.arange(50) % 10)
    curve: list[float] = []
    for way in ways:
        with RunFolder.open(folder, {}, CONFIG, CLASSES, (1, 32, 32)) as store:

            def progress(state, store=store, way=way):
                curve.append(state.log[-1]["train_loss"])
                if state.iteration == CONFIG.iterations // 2 and way is not ways[-1]:
                    store.save(state)
                    raise InterruptedError

            try:
                run_practice(
                    CONFIG,
                    small_generator(),
                    real,
                    None,
                    small_net(),
                    store=store,
                    progress=progress,
                    compute=WAYS[way],
                )
            except InterruptedError:
                continue
    return curve, load_file(folder / "checkpoint.safetensors")


@pytest.fixture(autouse=True, scope="module")
def float32():
    """As where the hardware has no bfloat16, which rounds so much that little could be compared."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(precision, "number_format", lambda device: torch.float32)
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(tmp_path_factory.mktemp("plain"), "plain")


@pytest.mark.slow
@pytest.mark.parametrize("ways", [("channels last",), ("both",), ("compiled", "plain"), ("plain", "compiled")])
def test_the_same_learning_curve_and_checkpoint(plain, tmp_path, ways):
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if {"both", "compiled"} & set(ways) and not (headers.exists() and any(map(shutil.which, COMPILERS))):
        pytest.skip("torch.compile needs a C++ compiler and Python's headers")
    curve, state = run(tmp_path, *ways)
    assert len(curve) == 10 and curve == pytest.approx(plain[0], abs=1e-5)
    assert plain[0][-1] < plain[0][0] - 0.02  # it learns something
    assert state.keys() == plain[1].keys()
    for name, value in plain[1].items():
        assert torch.allclose(state[name].float(), value.float(), atol=1e-4), name


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_number_of_channels_are_laid_out(channels):
    images = torch.rand(2, channels, 8, 8)
    assert Compute().lay_out(images) is images
    laid_out = Compute(channels_last=True).lay_out(images)
    assert torch.equal(laid_out, images)
    seen = nn.Conv2d(channels, 4, 3)(laid_out)
    assert seen.is_contiguous(memory_format=torch.channels_last) and not seen.is_contiguous()


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists(),
    reason="reads what Linux says of an x86 processor",
)
def test_a_processor_that_would_emulate_bfloat16_computes_in_float32():
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    native = "avx512_bf16" in flags
    assert number_format(torch.device("cpu")) == (torch.bfloat16 if native else torch.float32)


def test_a_missing_compiler_is_told_in_a_line(tmp_path):
    (tmp_path / "empty").mkdir()
    nothing = {"CXX": "", "PATH": str(tmp_path / "empty"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    ended = subprocess.run(
        [sys.executable, "-m", "dp", "run", str(tmp_path / "run"), "--compile"],
        env={**os.environ, **nothing},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("error: compile: ") and "C++ compiler" in line and not (tmp_path / "run").exists()


def test_the_parts_of_a_generator_are_laid_out_and_compiled_in_place():
    generator = small_generator()
    images = generator.generate([0, 1], [2, 3]).images
    Compute(channels_last=True).prepare_generator(generator)
    weight = next(module for module in generator.pipe.unet.modules() if isinstance(module, nn.Conv2d)).weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert (generator.generate([0, 1], [2, 3]).images.int() - images.int()).abs().max() <= 1
    Compute(compile_generator=True).prepare_generator(generator)
    for part in (generator.pipe.unet, generator.pipe.vae.decoder):
        assert part._compiled_call_impl is not None
