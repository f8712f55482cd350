"""Deliberate Practice: train a classifier on generated images, and let it ask for the ones that it finds hard.

Reference implementation of arXiv 2502.15588. A classifier's entropy steers a diffusion model towards images that the
classifier is unsure of; those images join its training pool; training goes on. Everything below comes from `dp` itself:

    from dp import PracticeConfig, bundled_generator, run_practice, test_images, validation_images

    config = PracticeConfig(n_initial=200, n_per_round=100, rounds=3, iterations=400)
    outcomes, state = run_practice(config, bundled_generator(config), validation_images(), test_images)
    print(outcomes[-1].test_accuracy, state.additions)

Guide a diffusers pipeline by a classifier:

- `guide`: guidance of any pipeline in one line, with the pipeline's own sampler
- `GuidanceConfig`: strength, noise levels, gradient and objective
- `Preprocess`: size and normalisation of a classifier, differentiably, before it
- `HuggingFaceClassifier`: an image classifier of transformers as a module from images to logits
- `Entropy`, `Margin`: objectives, from images to what is raised, one number per image
- `entropy`: entropy of logits, in nats
- `guided_eps`: the formula, the guided noise prediction (equation 7)
- `entropy_guidance`, `EntropyGuidedDDIMScheduler`, `EntropyGuidedDPMSolverScheduler`: the older way, by a scheduler

Make images, train on them:

- `Generator`: labels and seeds in, images and their records out, over any pipeline
- `load_pipeline`: a pipeline from a folder, that of `dp train-generator` among others
- `PracticeConfig`: the settings of a run
- `run_practice`: Algorithm 1, that is, train, see that progress has stopped, add hard images, go on
- `RunFolder`: a folder that lets a run go on after it was killed
- `build_learner`: a new learner by name
- `PoolFolder`: a pool of generated images on disk
- `export_imagefolder`: the same as a folder of pictures

Real images:

- `ImageSet`: images and labels
- `image_folder`: a folder of one subfolder per class as an `ImageSet`
- `image_dataset`: a data set of Hugging Face as one
- `CLASSES`, `validation_images`, `test_images`: Fashion-MNIST, the names of its classes, 5,000 and 10,000 images

What the repository brings, trained on Fashion-MNIST:

- `bundled_pipeline`: a latent diffusion model of 2 million parameters
- `bundled_generator`: the same as a `Generator` with the settings of a run
- `bundled_decoder`: cheap decoders of its latents, for guidance
- `bundled_oracle`: a classifier that was trained on real images, for judging

`UserError` is what a wrong input raises, a `ValueError` of one line: the field or file, what was found, what was
expected, what to do.

Names are loaded when they are first used: `import dp` itself takes milliseconds and needs no PyTorch. The command line
is `dp --help`; the theory is the package `theory`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dp.config import PracticeConfig
    from dp.data.fashion_mnist import CLASSES, test_images, validation_images
    from dp.data.image_set import ImageSet, image_dataset, image_folder
    from dp.generation.generator import Generator
    from dp.generation.loading import load_pipeline
    from dp.guidance.guidance import GuidanceConfig, entropy_guidance, guided_eps
    from dp.guidance.guide import guide
    from dp.guidance.objectives import Entropy, Margin, entropy
    from dp.guidance.preprocessing import Preprocess
    from dp.guidance.schedulers import EntropyGuidedDDIMScheduler, EntropyGuidedDPMSolverScheduler
    from dp.learner.models import HuggingFaceClassifier, build_learner
    from dp.pool.export import export_imagefolder
    from dp.pool.folder import PoolFolder
    from dp.practice.loop import run_practice
    from dp.pretrained.load import bundled_decoder, bundled_generator, bundled_pipeline
    from dp.pretrained.oracle import bundled_oracle
    from dp.runs.folder import RunFolder
    from dp.utils.errors import UserError

__version__ = "0.2.0"

_MODULES = {
    "CLASSES": "dp.data.fashion_mnist",
    "Entropy": "dp.guidance.objectives",
    "EntropyGuidedDDIMScheduler": "dp.guidance.schedulers",
    "EntropyGuidedDPMSolverScheduler": "dp.guidance.schedulers",
    "Generator": "dp.generation.generator",
    "GuidanceConfig": "dp.guidance.guidance",
    "HuggingFaceClassifier": "dp.learner.models",
    "ImageSet": "dp.data.image_set",
    "Margin": "dp.guidance.objectives",
    "PoolFolder": "dp.pool.folder",
    "PracticeConfig": "dp.config",
    "Preprocess": "dp.guidance.preprocessing",
    "RunFolder": "dp.runs.folder",
    "UserError": "dp.utils.errors",
    "build_learner": "dp.learner.models",
    "bundled_decoder": "dp.pretrained.load",
    "bundled_generator": "dp.pretrained.load",
    "bundled_oracle": "dp.pretrained.oracle",
    "bundled_pipeline": "dp.pretrained.load",
    "entropy": "dp.guidance.objectives",
    "entropy_guidance": "dp.guidance.guidance",
    "export_imagefolder": "dp.pool.export",
    "guide": "dp.guidance.guide",
    "guided_eps": "dp.guidance.guidance",
    "image_dataset": "dp.data.image_set",
    "image_folder": "dp.data.image_set",
    "load_pipeline": "dp.generation.loading",
    "run_practice": "dp.practice.loop",
    "test_images": "dp.data.fashion_mnist",
    "validation_images": "dp.data.fashion_mnist",
}

__all__ = [
    "CLASSES",
    "Entropy",
    "EntropyGuidedDDIMScheduler",
    "EntropyGuidedDPMSolverScheduler",
    "Generator",
    "GuidanceConfig",
    "HuggingFaceClassifier",
    "ImageSet",
    "Margin",
    "PoolFolder",
    "PracticeConfig",
    "Preprocess",
    "RunFolder",
    "UserError",
    "__version__",
    "build_learner",
    "bundled_decoder",
    "bundled_generator",
    "bundled_oracle",
    "bundled_pipeline",
    "entropy",
    "entropy_guidance",
    "export_imagefolder",
    "guide",
    "guided_eps",
    "image_dataset",
    "image_folder",
    "load_pipeline",
    "run_practice",
    "test_images",
    "validation_images",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'dp' has no attribute {name!r}")
        from dp.utils.command_line import install_line

        try:
            value = getattr(import_module(_MODULES[name]), name)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(install_line(error), name=error.name) from error
        globals()[name] = value
        return value
