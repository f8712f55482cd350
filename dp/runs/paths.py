"""The files of a run's folder."""

from pathlib import Path


def checkpoint_file(folder: Path, branch: int | None = None) -> Path:
    """Return the checkpoint's file, of the run or of a branch."""
    return folder / ("checkpoint.safetensors" if branch is None else f"branches/{branch}.safetensors")


def learner_file(folder: Path, round_: int) -> Path:
    """Return the file with the weights that guided a round."""
    return folder / "learners" / f"round-{round_:04d}.safetensors"


def scores_folder(folder: Path, round_: int) -> Path:
    """Return the folder with the scores of a round's candidates."""
    return folder / f"scores-{round_:04d}"


def result_file(folder: Path) -> Path:
    """Return the file with the outcomes of a finished run."""
    return folder / "result.json"
