"""ImageNet-1k, ImageNet-100 and four out-of-distribution sets: classes, labels, and images from folders of your own.

What each set may be used for (as in the paper): a learner is trained on generated images only, so the real images are
  val     validation split (50,000; 5,000 of ImageNet-100): plateau detection and tuning.
  train   the real TRAINING split (1,281,167; 126,689): the held-out test, since val was used for decisions. Only the
          paper's reference is trained on it (`dp.generation.real_images`), and is then not tested on it.
  v2, sketch, r, a   ImageNet-V2 (matched frequency), -Sketch, -R and -A: the final evaluation out of distribution.

Nothing is downloaded. The label of a class is the rank of its wnid among the wnids of the class list, sorted: so number
torchvision's ImageFolder and timm's ImageNet-1k weights, and ImageNet-100 is numbered by the same rule, as its folders
alone would be (the list's own order is arbitrary).

    real = open_set("val", Path("/data/imagenet"), "imagenet100")
    accuracy(learner, real.data, real.allowed)    # percent
    Generator(pipe, classes=class_list("imagenet100").prompts, ...)
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from dp.data.image_set import RealImages
from dp.data.image_tree import ImageTree
from dp.data.out_of_distribution import OutOfDistribution, SetName, roots_of
from dp.utils.errors import UserError

__all__ = ["OutOfDistribution", "RealSet", "SetName", "class_list", "folders_of", "open_set", "roots_of"]

ClassSet = Literal["imagenet100", "imagenet1k"]
IMAGENET_100 = Path(__file__).parents[1] / "assets" / "imagenet100.txt"

# Published numbers of images: Russakovsky et al. 2015 (train, val), Tian et al. 2020 (ImageNet-100), Recht et al. 2019
# (V2, 10 a class), Wang et al. 2019 (Sketch), Hendrycks et al. 2021a (R), 2021b (A). The parts of Sketch, R and A that
# belong to ImageNet-100 are nowhere published.
PUBLISHED_IMAGES: dict[ClassSet, dict[SetName, int]] = {
    "imagenet1k": {"train": 1_281_167, "val": 50_000, "v2": 10_000, "sketch": 50_889, "r": 30_000, "a": 7_500},
    "imagenet100": {"train": 126_689, "val": 5_000, "v2": 1_000},
}


@dataclass(frozen=True)
class ClassList:
    """The classes of a learner, in order of the labels.

    Attributes:
        wnids: WordNet ids, sorted; also the names of the folders.
        prompts: what a generator is asked for, the first synonym of each. Not all different in ImageNet-1k: there are
            two classes "crane" (bird, machine) and two "maillot"; where names must differ, take the wnids.
    """

    wnids: tuple[str, ...]
    prompts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.wnids)


@cache
def class_list(classes: ClassSet) -> ClassList:
    """The 1,000 classes of ImageNet-1k (timm's list) or the 100 of ImageNet-100 (dp/assets/imagenet100.txt).

    Raises:
        UserError: no such class list.
    """
    from timm.data import ImageNetInfo

    if classes not in get_args(ClassSet):
        raise UserError(f"classes: got {classes!r}, expected {' or '.join(get_args(ClassSet))}")
    info = ImageNetInfo("imagenet-1k")
    wnids = info.label_names() if classes == "imagenet1k" else _lines(IMAGENET_100.read_text())
    ordered = tuple(sorted(wnids))
    return ClassList(ordered, tuple(info.label_name_to_description(each).split(",")[0].strip() for each in ordered))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def wnids_of(name: SetName) -> tuple[str, ...]:
    """The wnids of the classes that a set has images of, sorted: 200 of R and A (timm's lists), 1,000 of the others."""
    if name not in ("r", "a"):
        return class_list("imagenet1k").wnids
    # `ImageNetInfo` does not offer these two; they are files of timm's package.
    return tuple(sorted(_lines((resources.files("timm.data") / f"_info/imagenet_{name}_synsets.txt").read_text())))


def folders_of(name: SetName, classes: ClassSet) -> dict[int, str]:
    """Label -> name of the class folder, for the classes of the learner that the set has images of.

    Folders are named by wnid; those of V2 by the class's label in ImageNet-1k, 0 .. 999. Classes that are not the
    learner's are left out.

    Raises:
        UserError: no such set or class list.
    """
    if name not in get_args(SetName):
        raise UserError(f"set: got {name!r}, expected one of {', '.join(get_args(SetName))}")
    in_set = set(wnids_of(name))
    rank = {wnid: str(label) for label, wnid in enumerate(class_list("imagenet1k").wnids)}
    own = {label: wnid for label, wnid in enumerate(class_list(classes).wnids) if wnid in in_set}
    return {label: rank[wnid] if name == "v2" else wnid for label, wnid in own.items()}


def folder_of(name: SetName, root: Path) -> Path:
    """Return the folder that holds the class folders: ROOT/train or ROOT/val of ImageNet, else ROOT itself."""
    return root / name if name in ("train", "val") else root


@dataclass(frozen=True)
class RealSet:
    """Real images and the labels among which a learner has to find theirs.

    Attributes:
        name: which set.
        data: items (uint8 [C, size, size], label).
        allowed: labels, ascending. Of R and A the classes in the set alone: the authors of both sets and timm's
            published results compare the logits of the set's 200 classes only, which gives higher numbers than all
            1,000 do. For an ImageNet-100 learner, by the same rule, those of its 100 classes that are in the set. All
            labels of the learner for the other sets; None: all as well.
    """

    name: str
    data: RealImages
    allowed: tuple[int, ...] | None = None


def open_set(name: SetName, root: Path, classes: ClassSet, size: int = 224, resize: int = 256) -> RealSet:
    """A set of real images. For validation take "val"; "train" is the held-out test of the paper.

    Args:
        name: which set.
        root: of train and val the folder that holds train/WNID/*.JPEG and val/WNID/*.JPEG, with 1,000 classes or with
            those of ImageNet-100 alone; of the others the folder that holds the class folders.
        classes: the learner's classes.
        size: pixels of a side.
        resize: pixels of the shorter side before the centre is taken.

    Raises:
        UserError: a class of the learner that should be there has no images, or a size is out of range.
    """
    folders = folders_of(name, classes)
    return RealSet(name, ImageTree(folder_of(name, root), folders, size, resize), tuple(folders))
