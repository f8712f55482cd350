"""The inputs of a run: the generator, the names of the classes, and the real images beside."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import AutoencoderTiny
from torch import nn

from dp.config import PracticeConfig
from dp.data.fashion_mnist import CLASSES, IMAGE_SIZE, test_images, train_images, validation_images
from dp.data.image_set import RealImages, check_class_folders, image_folder
from dp.data.image_tree import few_apart
from dp.data.imagenet import OutOfDistribution, RealSet, class_list, open_set, roots_of
from dp.generation.generator import Generator
from dp.generation.loading import DTYPE, fetch_problem, load_pipeline, quietly
from dp.generation.pipeline_info import image_shape_of, own_classes
from dp.generation.real_images import RealData
from dp.guidance.linear_decoder import LinearDecoder
from dp.pretrained.load import bundled_generator
from dp.runs.settings import SourceSettings
from dp.utils.device import best_device
from dp.utils.errors import UserError, in_a_line
from dp.utils.files import expect_files
from dp.utils.folders import setting_of
from dp.utils.validation import settings_from

PROMPTS = 'a prompt for each class, as {"n02123045": "a tabby cat", ...}'
OWN_DECODERS = ("vae", "tiny", "linear")  # of the repository's own generator


@dataclass(frozen=True)
class Source(SourceSettings):
    """The generator, and the real images beside it, by their settings."""

    def names(self) -> tuple[str, ...]:
        """Return the classes' names, all different."""
        if self.class_list != "own" and (self.pipeline or self.real):
            return class_list(self.class_list).wnids
        if not self.pipeline:
            return CLASSES
        prompts = tuple(prompts_in(Path(self.prompts))) if self.prompts else ()
        if self.classes and prompts and set(self.classes) != set(prompts):
            got, expected = few_apart(prompts, self.classes)
            raise UserError(f"{self.prompts}: got prompts of {got}, expected {expected}, the classes")
        names = self.classes or prompts or pipeline_classes(Path(self.pipeline))
        if len(names) < 2:
            raise UserError(f"classes: got {len(names)} with a pipeline of your own, expected 2 or more names")
        return names

    def origin(self, config: PracticeConfig, imagenet: Path | None) -> Generator | RealData:
        """Return what makes a run's images: the generator, or real training images; `imagenet` as for `real_sets`."""
        if not self.real:
            return self.generator(config)
        if imagenet is None or self.class_list == "own":
            data: RealImages = train_images()
        else:
            data = open_set("train", imagenet, self.class_list, self.side, self.side).data
        return RealData(data, len(self.names()), config.n_initial, config.seed)

    def generator(self, config: PracticeConfig) -> Generator:
        """Load the generator with a run's settings, on the best device there is."""
        if self.real:
            raise UserError("real: got real images where some are to be generated; leave it out, or `dp run` them")
        self.check_decoder(config)
        if not self.pipeline:
            self._check_own()
            return bundled_generator(config)
        names, dtype = self.names(), getattr(torch, self.precision)
        pipe = load_pipeline(self.pipeline, dtype).to(best_device())
        for part in pipe.components.values():
            if isinstance(part, nn.Module):
                part.requires_grad_(False)  # gradients are asked for in the input alone
        generator = Generator(
            pipe,
            config.guidance_scale,
            config.inference_steps,
            self.generation_batch or None,
            self._called_by(pipe, names),
            self.template,
            None if config.decoder == "vae" else load_decoder(config.decoder, dtype),
            self.side or None,
            self.guided_batch or None,
        )
        if config.rounds:
            generator.check_guidance(config.guidance)
        return generator

    def _called_by(self, pipe: Any, names: Sequence[str]) -> Sequence[str] | Sequence[int]:
        """Return what a pipeline calls the classes of these names: names for its prompts, or its own class labels."""
        own = own_classes(pipe)
        if not own:
            if self.prompts:
                prompts = prompts_in(Path(self.prompts))
                return [prompts[name] for name in names]
            return names if self.class_list == "own" else class_list(self.class_list).prompts
        if self.prompts:
            raise UserError(f"prompts: got {self.prompts}, but the pipeline takes numbers of classes; leave it out")
        if self.class_list != "own" and own == 1000:  # ImageNet-1k's, in order of the wnids
            return [class_list("imagenet1k").wnids.index(each) for each in names]
        if own != len(names):
            raise UserError(f"classes: got {len(names)}, but the pipeline has {own} of its own; name all, in its order")
        called = pipeline_classes(Path(self.pipeline))
        if set(called) == set(names) and called != tuple(names):
            got, expected = few_apart(names, called)
            raise UserError(f"classes: got {got}, but the pipeline has them as {expected}; name them so")
        return range(own)

    def image_shape(self, origin: Generator | RealData) -> tuple[int, int, int]:
        """Return (C, H, W) of the images kept."""
        if isinstance(origin, RealData):
            return (1, IMAGE_SIZE, IMAGE_SIZE) if self.class_list == "own" else (3, self.side, self.side)
        return image_shape_of(origin.pipe, self.side or None)

    def planned_shape(self) -> tuple[int, int, int] | None:
        """Return the `image_shape` without the weights; None if a pipeline's configuration is not in a folder."""
        if self.real and self.class_list != "own":
            return 3, self.side, self.side
        if not self.pipeline:
            return 1, IMAGE_SIZE, IMAGE_SIZE
        # A folder that is not as it should be is told when it is loaded.
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            files = Path(self.pipeline).glob("*/config.json")
            parts = {file.parent.name: SimpleNamespace(config=_namespace(file)) for file in files}
            return image_shape_of(SimpleNamespace(**parts), self.side or None)
        return (3, self.side, self.side) if self.side else None

    def check_real(
        self,
        config: PracticeConfig,
        validation: Path | None,
        test: Path | None,
        imagenet: Path | None,
        ood: OutOfDistribution = OutOfDistribution(),
    ) -> None:
        """Raise UserError unless the real images are named that go with the rest; see `real_sets`."""
        if self.class_list == "own" and roots_of(imagenet, ood):
            raise UserError("class_list: got own with imagenet or ood, expected imagenet100 or imagenet1k")
        folders = {"pipeline": self.pipeline, "validation": validation, "test": test}
        if self.real:
            self._check_training(config, imagenet, [name for name, value in folders.items() if value])
            return
        if self.class_list != "own" and not self.pipeline:
            raise UserError(f"pipeline: none given with class_list {self.class_list}; name one that makes its images")
        self.check_decoder(config)
        if not self.pipeline:
            self._check_own()
        given = [name for name, value in folders.items() if value]
        if len(given) not in (0, 3) and not (imagenet and given == ["pipeline"]):
            raise UserError(
                f"pipeline, validation, test: give all three (or imagenet instead of the two folders) for images of "
                f"your own, or none of them; got {', '.join(given)}"
            )
        if imagenet and len(given) == 3:
            raise UserError("imagenet: got it with validation and test; leave out imagenet, or the two of them")

    def check_decoder(self, config: PracticeConfig) -> None:
        """Raise UserError if there is no such decoder for this generator: each kind of generator has its own."""
        if self.pipeline and config.decoder in OWN_DECODERS[1:]:
            raise UserError(
                f"decoder: got {config.decoder}, which is the repository's own generator's, with a pipeline of your "
                "own; name a folder (python -m dp.pretrained.fit_decoder makes one), a Hub id such as "
                "madebyollin/taesd, or take vae"
            )
        if not self.pipeline and config.decoder not in OWN_DECODERS:
            raise UserError(f"decoder: got {config.decoder} without a pipeline, expected {', '.join(OWN_DECODERS)}")

    def _check_own(self, but: tuple[str, ...] = ()) -> None:
        """Raise UserError if something is set that only a pipeline takes, but for some settings."""
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default and each.name not in but:
                raise UserError(f"{each.name}: got {value} without a pipeline; name one, or leave {each.name} out")

    def _check_training(self, config: PracticeConfig, imagenet: Path | None, given: list[str]) -> None:
        """Raise UserError unless a run on real training images can be had with these settings."""
        if given:
            raise UserError(f"real: got {', '.join(given)} as well; real images are imagenet's, else Fashion-MNIST's")
        self._check_own(but=("real", "class_list", "side"))
        if self.class_list != "own" and imagenet is None:
            raise UserError("imagenet: none given; name the folder that holds ImageNet's val and train")
        if (self.class_list == "own") != (self.side == 0):
            raise UserError(
                f"side: got {self.side} with real images, class_list {self.class_list}; expected the pixels of a side "
                "for ImageNet's (256 in the paper's rows), 0 for Fashion-MNIST's"
            )
        if config.rounds or config.signal in ("synthetic", "agreement"):
            raise UserError(
                f"real: got rounds {config.rounds} and signal {config.signal}; without a generator, expected rounds 0 "
                "and signal real or loss"
            )

    def check_folders(self, test: Path | None, imagenet: Path | None, ood: OutOfDistribution) -> None:
        """Raise UserError unless every class has its folder in the sets that are read at the end; opens no image."""
        if test is not None:
            check_class_folders(test, self.names())
        self.imagenet_sets(1, imagenet, ood)

    def imagenet_sets(self, side: int, imagenet: Path | None, ood: OutOfDistribution) -> list[RealSet]:
        """Open ImageNet's sets that are given, of the classes of class_list, at side x side pixels.

        Raises:
            UserError: a class has no images.
        """
        roots, classes = roots_of(imagenet, ood), self.class_list
        return [open_set(name, root, classes, side, side) for name, root in roots.items() if classes != "own"]

    def real_sets(
        self, shape: tuple[int, int, int], validation: Path | None, test: Path | None, imagenet: Path | None
    ) -> tuple[RealImages, Callable[[], RealImages] | None]:
        """Return validation images, and what gives the held-out test images; None where a learner is trained on those.

        Args:
            shape: (C, H, W) of the run's images.
            validation, test: folders of one subfolder a class.
            imagenet: instead of these, the folder that holds ImageNet's val (for validation) and train (for the test).
        """
        side = shape[1]
        if imagenet is not None and self.class_list != "own":
            root, classes = imagenet, self.class_list
            found, held_out = (open_set(name, root, classes, side, side).data for name in ("val", "train"))
            return found, None if self.real else lambda: held_out
        if validation is None or test is None:
            return validation_images(), test_images
        folder = test
        return image_folder(validation, self.names(), shape), lambda: image_folder(folder, self.names(), shape)


def source_from(values: dict[str, Any]) -> Source:
    """Return the source that `dataclasses.asdict` gave, also after a way through JSON; prompts may be absent.

    Raises:
        UserError: a setting is unknown or missing, or out of range.
    """
    newer = {"prompts": "", "guided_batch": 0}  # settings that older versions did not write
    return settings_from(Source, newer | values if isinstance(values, dict) else values)


def source_of(folder: Path) -> Source:
    """Return the source of the images of a run.

    Raises:
        UserError: it is missing, damaged or of another version; names the file.
    """
    return setting_of(folder, "source", source_from)


def pipeline_classes(folder: Path) -> tuple[str, ...]:
    """Return the names that a saved pipeline gives its own classes (`id2label`), in order; empty if it has none."""
    try:
        named = json.loads((folder / "model_index.json").read_text()).get("id2label") or {}
        return tuple(str(named[str(label)]) for label in range(len(named)))
    except (OSError, ValueError, AttributeError, KeyError):  # a folder that is not as it should be is told when loaded
        return ()


def prompts_in(file: Path) -> dict[str, str]:
    """Return class -> prompt, as a JSON file has them.

    Raises:
        UserError: there is no such file, or something else is in it.
    """
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {in_a_line(error)}; expected JSON: " + PROMPTS) from None
    if not isinstance(found, dict) or not all(isinstance(each, str) and each for each in found.values()):
        raise UserError(f"{file}: got something else, expected " + PROMPTS)
    return found


def _namespace(file: Path) -> SimpleNamespace:
    return json.loads(file.read_text(), object_hook=lambda values: SimpleNamespace(**values))


def load_decoder(where: str, dtype: torch.dtype) -> Any:
    """Return an AutoencoderTiny or a LinearDecoder from a folder or the Hub, on the best device there is.

    Args:
        where: a folder that `save_pretrained` wrote, or an id of the Hugging Face Hub.
        dtype: of its weights.

    Raises:
        UserError: there is none, it is damaged, or it cannot be fetched.
    """
    folder = Path(where)
    expect_files(folder)
    try:
        linear = folder.is_dir() and f'"{LinearDecoder.__name__}"' in (folder / "config.json").read_text()
        kind: Any = LinearDecoder if linear else AutoencoderTiny
        with quietly():
            made = kind.from_pretrained(
                where,
                use_safetensors=True,
                low_cpu_mem_usage=False,
                local_files_only=folder.is_dir(),
                **{DTYPE: dtype},
            )
    except Exception as error:  # of many kinds, by the file that is damaged or absent
        reason = in_a_line(error) if folder.exists() else fetch_problem(error)
        raise UserError(
            f"decoder: {where}: {reason}; give a folder that dp.pretrained.fit_decoder or save_pretrained of "
            "AutoencoderTiny wrote, or a Hub id such as madebyollin/taesd"
        ) from None
    return made.requires_grad_(False).to(best_device())
