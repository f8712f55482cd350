"""The repository's own generator, from real images: `dp train-generator`."""

from dataclasses import asdict
from pathlib import Path

import tyro
from safetensors.torch import save_model

from dp.data.fashion_mnist import train_images
from dp.pretrained.train import GeneratorConfig, train_oracle, train_pipeline
from dp.utils.files import atomic_files, write_json
from dp.utils.folders import claimed


def train_generator(
    folder: tyro.conf.Positional[Path], config: GeneratorConfig = GeneratorConfig(), data: Path | None = None
) -> None:
    """Train a small latent-diffusion generator of Fashion-MNIST, about 30 minutes on 2 cores; the same command goes on.

    The folder gets the pipeline in diffusers' layout (fp16 safetensors), the oracle that judges its images, and the
    settings (training.json, written last). `dp model-card` measures it.

    Args:
        folder: where the pipeline and the checkpoints go.
        config: settings.
        data: folder with Fashion-MNIST's training files, if not to be looked for.
    """
    real, checkpoints, last = train_images(data), folder / "checkpoints", folder / "training.json"
    with claimed(folder, {"generator": asdict(config)}, "generator"):
        if not last.exists():
            pipe = train_pipeline(config, real, checkpoints)
            oracle = train_oracle(config, real.images, real.labels, checkpoints / "oracle.safetensors")
            with atomic_files(folder) as files:
                pipe.save_pretrained(files)
                save_model(oracle.half(), files / "oracle.safetensors")
            write_json(last, asdict(config))
    print(f"{folder} is finished")
