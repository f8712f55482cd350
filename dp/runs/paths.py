"""runs.paths."""

from pathlib import Path

FORMAT = 1


def checkpoint_file(folder: Path, branch: int | None = None) -> Path:
    """Where the checkpoint of the run, or of a branch, is."""
    return folder / ("checkpoint.safetensors" if branch is None else f"branches/{branch}.safetensors")


def learner_file(folder: Path, round_: int) -> Path:
    """Where the weights that guided a round are."""
    return folder / "learners" / f"round-{round_:04d}.safetensors"


def scores_folder(folder: Path, round_: int) -> Path:
    """Where the scores of a round's candidates are."""
    return folder / f"scores-{round_:04d}"
