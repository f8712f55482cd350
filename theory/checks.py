"""Checks of arguments: one line that names the argument, what was found, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST, MOST = 1e-75, 1e75  # of counts; of ridges the most: float64 holds the squares of what they give


class ArgumentError(ValueError):
    """An argument the theory has no meaning for. The message is one line meant for a person.

    Example:
        >>> from theory import ArgumentError, KeepHard
        >>> try:
        ...     KeepHard(-1.0)
        ... except ArgumentError as error:
        ...     print("told:", str(error).split(":")[0])
        told: threshold
    """


def real(name: str, value: Any, low: float, high: float, *, open_low: bool = False, advice: str = "") -> Array:
    """Return ``value`` as a float64 array, refusing what is not a real number in ``[low, high]``.

    Args:
        name: The argument's name, for the message.
        value: A number or an array of numbers.
        low: Smallest value allowed.
        high: Largest value allowed (infinity allows infinity).
        open_low: Whether ``low`` itself is refused.
        advice: What to do, added to the message.

    Raises:
        ArgumentError: If the value is a string, complex, boolean, NaN, or out of range.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or not array.size:
        raise ArgumentError(
            f"{name}: found {_short(value)}, expected a real number. Give a number or an array of numbers."
        )
    array = array.astype(np.float64)
    inside = (array > low if open_low else array >= low) & (array <= high)
    if not np.all(inside):
        span = f"{'above' if open_low else 'at least'} {low:g}" + ("" if high == np.inf else f" and at most {high:g}")
        found = array[~inside].ravel()[0]
        raise ArgumentError(f"{name}: found {found:g}, expected a number {span}. {advice or 'Change this argument.'}")
    return array


def number(name: str, value: Any, low: float, high: float, *, advice: str = "") -> float:
    """Return ``value`` as one float in ``[low, high]``; as :func:`real`, and arrays are refused too.

    Raises:
        ArgumentError: If the value is an array, or not a real number in the range.
    """
    array = real(name, value, low, high, advice=advice)
    if array.ndim:
        raise ArgumentError(f"{name}: found an array of shape {array.shape}, expected one number. Call once for each.")
    return float(array)


def cosine(name: str, value: Any) -> Array:
    """Return cosines in [-1, 1] as a float64 array; up to 1e-12 beyond is a rounding error and is cut off.

    Raises:
        ArgumentError: If a value is not a real number in the range.
    """
    array = real(name, value, -1 - 1e-12, 1 + 1e-12, advice="It is a cosine, between -1 and 1.")
    return np.clip(array, -1.0, 1.0)


def one_cosine(name: str, value: Any) -> float:
    """Return one cosine as a float; as :func:`cosine`, and arrays are refused too.

    Raises:
        ArgumentError: If the value is an array, or not a real number in the range.
    """
    return number(name, cosine(name, value), -1, 1)


def probability(name: str, value: Any) -> Array:
    """Return probabilities of a flipped label, in [0, 0.5], as a float64 array.

    Raises:
        ArgumentError: If a value is not a real number in the range.
    """
    return real(name, value, 0, 0.5, advice="It is the probability that a label flips.")


def integer(name: str, value: Any, low: int) -> int:
    """Return ``value`` as an int of at least ``low``.

    Raises:
        ArgumentError: If the value is not a whole number or is too small.
    """
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "iuf" or array != np.floor(array) or not low <= array < 2**53:
        raise ArgumentError(f"{name}: found {_short(value)}, expected one whole number of at least {low}.")
    return int(array)


def vector(name: str, value: Any, d: int) -> Array:
    """Return ``value`` as a finite non-zero float64 vector of length ``d``.

    Raises:
        ArgumentError: If the shape is wrong, or an entry is not finite, or all entries are zero.
    """
    array = real(name, value, -1e150, 1e150, advice="Give finite entries.")
    if array.shape != (d,):
        raise ArgumentError(f"{name}: found shape {array.shape}, expected ({d},), one entry per input dimension.")
    if not array.any():
        raise ArgumentError(f"{name}: found the zero vector, expected a direction. Give at least one non-zero entry.")
    return array


def broadcast(**arrays: Array) -> None:
    """Refuse arrays whose shapes do not broadcast together.

    Raises:
        ArgumentError: Naming every argument and its shape.
    """
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ArgumentError(
            f"shapes: found {found}, expected shapes that broadcast together. Add axes of length 1."
        ) from None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
