"""A run on the command line: `dp run`. Read by `--help` and to find a mistake, so that neither waits for a library."""

from pathlib import Path
from typing import Annotated

import tyro

from dp.config import PracticeConfig
from dp.data.out_of_distribution import OutOfDistribution
from dp.practice.compute import Compute
from dp.runs.settings import Logs, SourceSettings, Storage
from dp.utils.validation import Text, checked

Folder = tyro.conf.Positional[Path]

# What stands above an option in the help.
HEADINGS = {
    "--n-initial": "The pool of images",
    "--over-sampling": "What is added",
    "--guidance-scale": "How images are made",
    "--signal": "When images are added",
    "--learner": "The learner, and what it sees",
    "--iterations": "The optimiser and its schedule",
    "--pipeline": "The generator",
    "--compile": "What makes training faster",
}


@checked
def run(
    folder: Folder,
    config: Annotated[PracticeConfig, tyro.conf.arg(name="")] = PracticeConfig(),
    source: Annotated[SourceSettings, tyro.conf.arg(name="")] = SourceSettings(),
    validation: Path | None = None,
    test: Path | None = None,
    imagenet: Path | None = None,
    ood: OutOfDistribution = OutOfDistribution(),
    row: Text = "",
    storage: Storage = Storage(),
    compute: Annotated[Compute, tyro.conf.arg(name="")] = Compute(),
    log: Logs | None = None,
    dry_run: bool = False,
    settings_file: Annotated[Path | None, tyro.conf.arg(name="config")] = None,
) -> None:
    """Practise: train a classifier on images that the generator makes to challenge it.

    The ten settings that one needs first:

    --pipeline FOLDER    a diffusers pipeline, by default the repository's own generator

    --validation FOLDER    real images, one subfolder per class

    --test FOLDER    as many others, for the end

    --n-initial INT    images at the start

    --n-per-round INT    images of an addition

    --rounds INT    additions

    --iterations INT    mini-batches of the whole run

    --omega FLOAT    how strongly additions are guided (the same as --guidance.omega)

    --steps INT    sampling steps of an image (the same as --inference-steps)

    --learner TEXT    convnet, vit, a name of timm, or hf:FOLDER

    Started by torchrun (also under SLURM), the processes share the run; the same command goes on with any number of
    them.

    Args:
        folder: everything of the run goes here; the same command goes on where it stopped.
        config: settings of the loop.
        source: the generator.
        validation: real images in one subfolder a class, or a saved data set of Hugging Face, for plateau detection;
            by default Fashion-MNIST's.
        test: held-out real images, for the final evaluation.
        imagenet: instead of validation and test, the folder that holds ImageNet's val and train.
        ood: folders of ImageNet's out-of-distribution sets, for the final evaluation; see `dp evaluate`.
        row: a row of the paper's tables, as `dp plan` names them ("4/static 130k"); gives the settings of the loop, but
            for the seed and the decoder, the generator and the classes. Others beside it are refused, unless they are
            given at their defaults, which is not noticed: the row's are taken.
        storage: of the images.
        compute: what makes training faster; the same command may go on with another choice.
        log: write accuracies, losses, additions with what asked for them, and a grid of images per round for csv
            (FOLDER/csv), tensorboard (FOLDER/tensorboard) or wandb (Weights & Biases); one or more of them.
        dry_run: say what would be done, and do nothing.
        settings_file: take all settings of the run from what --dry-run printed, kept in this file; as with row,
            others that are given at their defaults are not noticed.
    """
    from dp.cli.practise import practise
    from dp.runs.inputs import Source

    practise(
        folder,
        config,
        Source(**vars(source)),
        validation,
        test,
        imagenet,
        ood,
        row,
        storage,
        compute,
        log or (),
        dry_run,
        settings_file,
    )
