"""A small class-conditional latent-diffusion pipeline in diffusers' format."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging
from huggingface_hub.utils import logging as hub_logging
from packaging.version import Version
from transformers.utils import logging as transformers_logging

from dp.generation.latent_class_pipeline import LatentClassPipeline
from dp.utils.errors import UserError, in_a_line
from dp.utils.files import expect_files
from dp.utils.validation import checked

# The name that diffusers has for the number format of the weights; it is to drop the older one.
DTYPE = "dtype" if Version(diffusers.__version__) >= Version("0.40") else "torch_dtype"


@checked
def load_pipeline(where: str | Path, dtype: torch.dtype = torch.float32) -> Any:
    """Load a diffusers pipeline of this package's kind or of diffusers' own, without safety checker; on the CPU.

    Args:
        where: a folder that `save_pretrained` wrote, or an id of the Hugging Face Hub ("owner/name").
        dtype: of its weights.

    Raises:
        UserError: there is none, it cannot be fetched, a file of it is damaged or does not fit the others, or its
            weights are not safetensors.

    Example:
        >>> from dp import bundled_pipeline, load_pipeline
        >>> bundled_pipeline().save_pretrained("GENERATOR")  # as `dp train-generator GENERATOR` does
        >>> load_pipeline("GENERATOR")([0, 1]).images[0].size
        (32, 32)
    """
    folder = Path(where)
    index, local = folder / "model_index.json", folder.exists()
    if not index.is_file() and (local or not _is_hub_id(str(where))):
        raise UserError(f"pipeline: {folder} holds no diffusers pipeline (model_index.json); use save_pretrained")
    if local:
        expect_files(folder)
    try:
        own = local and f'"{LatentClassPipeline.__name__}"' in index.read_text()
        kind = LatentClassPipeline if own else DiffusionPipeline
        options: dict[str, Any] = {} if own else {"safety_checker": None, "requires_safety_checker": False}
        with quietly():
            pipe = kind.from_pretrained(
                folder if local else str(where),
                local_files_only=local,
                use_safetensors=True,
                low_cpu_mem_usage=False,
                **options | {DTYPE: dtype},
            )
    except Exception as error:  # of many kinds, by the file that is damaged, absent or of another version
        if not local and isinstance(error, OSError | ValueError):
            raise UserError(
                f"pipeline: {where} is no folder, and could not be fetched from the Hugging Face Hub "
                f"({fetch_problem(error)}); where there is a network: hf download {where} --local-dir FOLDER, then "
                "give that folder"
            ) from None
        raise UserError(
            f"pipeline: {where}: cannot be loaded ({in_a_line(error).rstrip('.:')}); expected what save_pretrained "
            "writes, whole and weights as safetensors; other formats are pickles, which are not opened since they can "
            "run any code"
        ) from None
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence warnings and the progress bars of loading: what goes wrong is told in one line afterwards."""
    levels = logging.get_verbosity(), hub_logging.get_verbosity()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.enable_progress_bar()
        transformers_logging.enable_progress_bar()
        logging.set_verbosity(levels[0])
        hub_logging.set_verbosity(levels[1])


def fetch_problem(error: BaseException) -> str:
    """Why something could not be fetched from the Hub: the exception from which all others came, in a line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # one of them is there
    return in_a_line(error)


def _is_hub_id(where: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", where) is not None
