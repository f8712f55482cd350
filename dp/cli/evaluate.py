"""A run's learners on real images: `dp evaluate`."""

import json
from pathlib import Path

import tyro

from dp.data.fashion_mnist import CLASSES, test_images
from dp.data.image_set import image_folder
from dp.data.imagenet import OutOfDistribution, RealSet, roots_of
from dp.learner.evaluate import measured
from dp.learner.models import on_full_images
from dp.pool.folder import PoolFolder
from dp.runs.inputs import source_of
from dp.runs.load import config_of, state_of
from dp.runs.paths import checkpoint_file
from dp.utils import distributed as processes
from dp.utils.errors import UserError
from dp.utils.folders import read_settings

Folder = tyro.conf.Positional[Path]


def evaluate(
    folder: Folder,
    images: Path | None = None,
    imagenet: Path | None = None,
    ood: OutOfDistribution = OutOfDistribution(),
) -> None:
    """Accuracy of a run's learners on real images, as JSON: of each set the number of images and the percentage right.

    Evaluated are the run as it was kept last and its finished branches. Started by torchrun (also under SLURM), the
    processes share the images. ImageNet-R and -A have images of 200 of ImageNet's classes: only the logits of these are
    compared (of an ImageNet-100 learner: of those among its classes), as the sets' authors do. A learner is never
    tested on the images that it was trained on; its accuracy on them is null.

    Args:
        folder: the run.
        images: real images in one subfolder per class; if no set is named, the run's own test images.
        imagenet: the folder that holds ImageNet's val (on which decisions may have been made) and train (held out).
        ood: folders of ImageNet's out-of-distribution sets.
    """
    settings, layout = read_settings(folder, "source", "config"), PoolFolder.open(folder / "pool").layout
    source, config, shape = source_of(folder), config_of(folder), layout.image_shape
    if source.class_list == "own" and roots_of(imagenet, ood):
        raise UserError(f"imagenet, ood: {folder} has other classes; name images in one subfolder a class: --images")
    sets = source.imagenet_sets(shape[1], imagenet, ood)
    own = settings.get("test")
    if images:
        sets.append(RealSet("images", image_folder(images, layout.classes, shape)))
    elif not sets and own:
        sets.append(RealSet("test", image_folder(Path(own), layout.classes, shape)))
    elif not sets and layout.classes == CLASSES:
        sets.append(RealSet("test", test_images()))
    elif not sets:
        raise UserError("images: none given; name real images: --images, --imagenet or --ood.v2, .sketch, .r, .a")
    seen = {"train"} if source.real else set()
    fair = [each for each in sets if each.name not in seen]
    processes.join()
    outcomes = []
    for branch in [*(each for each in config.branch_sizes if checkpoint_file(folder, each).exists()), None]:
        state = state_of(folder, branch)
        if branch is None or state.iteration == config.iterations:
            learner = on_full_images(config, state.ema.module)
            pool_size = branch or config.n_initial + len(state.additions) * config.n_per_round
            found = {each.name: None for each in sets} | measured(learner, fair)
            outcomes.append({"pool_size": pool_size, "iteration": state.iteration, "sets": found})
    if processes.rank() == 0:
        print(json.dumps({"run": str(folder), "outcomes": outcomes}, indent=1))
    processes.leave()
