"""The naturally hard test images: those that most real-trained reference learners get wrong."""

from collections.abc import Iterable

import numpy as np

from dp.data.fashion_mnist import test_images
from experiments.analysis.table import rows


def correct(predictions: Iterable[str]) -> np.ndarray:
    """Return which test images each string of predictions, a digit per image, has right: bool [n, 10000]."""
    labels = test_images().labels.numpy()
    return np.array([np.frombuffer(each.encode(), np.uint8) - ord("0") == labels for each in predictions])


def hard_images(profile: str, studies: Iterable[str]) -> np.ndarray:
    """Return which test images most reference learners of the studies get wrong: bool [10000]; none without any."""
    references = [row["test_predictions"] for study in studies for row in rows(profile, study, method="reference")]
    if not references:
        return np.zeros(len(test_images()), bool)
    return correct(references).mean(0) < 0.5
