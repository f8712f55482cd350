"""The settings of a run beside those of the loop; no library is needed to read them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dp.pool.paths import Encoding
from dp.utils.errors import UserError
from dp.utils.validation import Settings, SideOrZero, Text, check_template

LogKind = Literal["csv", "tensorboard", "wandb"]
Logs = Annotated[tuple[LogKind, ...], Field(min_length=1, max_length=3)]


@dataclass(frozen=True)
class Storage(Settings):
    """Say how a run keeps its images."""

    memory: bool = True  # train on a pool that is held in memory; else on one that is read from disk as it goes
    encoding: Encoding = "PNG"  # of the images kept: PNG (lossless), JPEG or WEBP


@dataclass(frozen=True)
class SourceSettings(Settings):
    """The generator; with nothing given, the repository's, of Fashion-MNIST.

    Raises:
        UserError: a setting is of another type or out of range, or two of them do not go together.
    """

    pipeline: Text = ""  # a diffusers pipeline: a folder that save_pretrained wrote, or an id of the Hugging Face Hub
    classes: Annotated[tuple[Text, ...], Field(max_length=100_000)] = ()  # names, in order of the labels; the prompts
    # A pipeline's own 1,000 class labels are taken to be ImageNet-1k's, as DiT's are.
    class_list: Literal["own", "imagenet100", "imagenet1k"] = "own"  # instead of classes: those of ImageNet
    prompts: Text = ""  # a JSON file that gives the prompt of each class by its name, where the two differ
    template: Text = "{}"  # of the prompts, {} standing for the name
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the pipeline's weights
    generation_batch: Annotated[int, Field(ge=0, le=10_000)] = 0  # made at once; 0: as many as memory is sure to hold
    guided_batch: Annotated[int, Field(ge=0, le=10_000)] = 0  # of guided images; 0: on a GPU one is tried first
    side: SideOrZero = 0  # images are kept and seen at side x side pixels; 0: as the pipeline makes them
    real: bool = False  # no generator at all: train on the real training images of imagenet (else of Fashion-MNIST)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_template(self.template)
        if len(set(self.classes)) < len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise UserError(f'classes: got "{twice}" twice, expected names that are all different')
        if self.prompts and self.class_list != "own":
            raise UserError(f"prompts: got {self.prompts} with class_list {self.class_list}; leave one of them out")
        if self.classes and self.class_list != "own":
            raise UserError(
                f"classes: got {len(self.classes)} with class_list {self.class_list}; leave one of them out"
            )
