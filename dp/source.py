"""Where a run's images come from: the generator, the names of the classes, and the real images beside."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
from diffusers import AutoencoderTiny

from dp.config import PracticeConfig
from dp.data import CLASSES, IMAGE_SIZE, check_class_folders, image_folder, test_images, validation_images
from dp.errors import UserError
from dp.evaluate import RealImages
from dp.generator import Generator, image_shape_of
from dp.imagenet import class_list, open_set
from dp.pipelines import bundled_generator, fetch_problem, load_pipeline, quietly
from dp.precision import best_device


@dataclass(frozen=True)
class Source:
    """The generator; nothing given: the repository's, of Fashion-MNIST."""

    pipeline: str = ""  # a diffusers pipeline: a folder that save_pretrained wrote, or an id of the Hugging Face Hub
    classes: tuple[str, ...] = ()  # names, in order of the labels; the prompts of a text-to-image pipeline
    class_list: Literal["own", "imagenet100", "imagenet1k"] = "own"  # instead of classes
    template: str = "{}"  # of the prompts, {} standing for the name
    tiny_decoder: str = ""  # an AutoencoderTiny to guide with, instead of the pipeline's VAE: a folder or a Hub id
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the pipeline's weights
    generation_batch: int = 0  # images made at once; 0: as many as memory is sure to hold
    side: int = 0  # images are kept, and seen by the learner, at side x side pixels; 0: as the pipeline makes them

    def names(self) -> tuple[str, ...]:
        """The classes' names, all different."""
        if not self.pipeline:
            return CLASSES
        if self.class_list != "own":
            return class_list(self.class_list).wnids
        if len(self.classes) < 2:
            raise UserError(f"classes: got {len(self.classes)} with a pipeline of your own, expected 2 or more names")
        return self.classes

    def generator(self, config: PracticeConfig) -> Generator:
        """The generator with a run's settings, on the best device there is."""
        if not self.pipeline:
            return bundled_generator(config)
        prompts = self.names() if self.class_list == "own" else class_list(self.class_list).prompts
        dtype = getattr(torch, self.precision)
        pipe = load_pipeline(self.pipeline, dtype).to(best_device())
        return Generator(
            pipe,
            config.guidance_scale,
            config.inference_steps,
            self.generation_batch or None,
            prompts,
            self.template,
            _tiny(self.tiny_decoder, dtype) if self.tiny_decoder else None,
            self.side or None,
        )

    def image_shape(self, generator: Generator) -> tuple[int, int, int]:
        """(C, H, W) of the images kept."""
        return image_shape_of(generator.pipe, self.side or None)

    def planned_shape(self) -> tuple[int, int, int] | None:
        """As `image_shape`, without the weights; None for a pipeline whose configuration is not in a folder."""
        if not self.pipeline:
            return 1, IMAGE_SIZE, IMAGE_SIZE
        # A folder that is not as it should be is told when it is loaded.
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            files = Path(self.pipeline).glob("*/config.json")
            parts = {file.parent.name: SimpleNamespace(config=_namespace(file)) for file in files}
            return image_shape_of(SimpleNamespace(**parts), self.side or None)
        return (3, self.side, self.side) if self.side else None

    def check_real(self, validation: Path | None, test: Path | None, imagenet: Path | None) -> None:
        """UserError unless the real images are named that go with the generator; see `real`."""
        if imagenet is not None and self.class_list == "own":
            raise UserError("class_list: got own with imagenet, expected imagenet100 or imagenet1k")
        folders = {"pipeline": self.pipeline, "validation": validation, "test": test}
        given = [name for name, value in folders.items() if value]
        if len(given) not in (0, 3) and not (imagenet and given == ["pipeline"]):
            raise UserError(
                f"pipeline, validation, test: give all three (or imagenet instead of the two folders) for images of "
                f"your own, or none of them; got {', '.join(given)}"
            )

    def real(
        self, shape: tuple[int, int, int], validation: Path | None, test: Path | None, imagenet: Path | None
    ) -> tuple[RealImages, Callable[[], RealImages]]:
        """Validation images, and what gives the held-out test images.

        Args:
            shape: (C, H, W) of the run's images.
            validation, test: folders of one subfolder a class.
            imagenet: instead of these, the folder that holds ImageNet's val (for validation) and train (for the test).
        """
        side = shape[1]
        if imagenet is not None and self.class_list != "own":
            root, classes = imagenet, self.class_list
            found, held_out = (open_set(name, root, classes, side, side).data for name in ("val", "train"))
            return found, lambda: held_out
        if validation is None or test is None:
            return validation_images(), test_images
        folder = test
        check_class_folders(folder, self.names())  # now rather than at the end, when its images are read
        return image_folder(validation, self.names(), shape), lambda: image_folder(folder, self.names(), shape)


def _namespace(file: Path) -> SimpleNamespace:
    return json.loads(file.read_text(), object_hook=lambda values: SimpleNamespace(**values))


def _tiny(where: str, dtype: torch.dtype) -> Any:
    try:
        with quietly():
            tiny = AutoencoderTiny.from_pretrained(
                where, torch_dtype=dtype, use_safetensors=True, low_cpu_mem_usage=False
            )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if Path(where).exists() else fetch_problem(error)
        raise UserError(
            f"tiny_decoder: {where}: {reason}; give a folder that AutoencoderTiny.save_pretrained wrote, or a Hub id "
            "such as madebyollin/taesd"
        ) from None
    return tiny.requires_grad_(False).to(best_device())
