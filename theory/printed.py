"""The isotropic theorem as printed in the paper's two public versions, kept beside the right form.

Neither printed form agrees with simulation (the study ``theory`` measures both); use ``theory.error`` for
anything else.

* arXiv 2502.15588 v1 (February 2025), Theorem 1, treats the margin ``y x . w_hat`` as Gaussian, which it is not
  because ``y`` depends on ``x``; and it takes the mean margin proportional to ``r``, where its proof has ``dot``.
* The ICML 2025 proceedings version has the angle and ``dot``.
* Both print ``r = omega^2 m + omega~^2 m~`` with ``omega = sqrt(1 - rho^2) beta`` and ``omega~ = rho beta~``, where
  the proofs need ``beta^2 m + beta~^2 m~``. The ICML form is therefore right only at ``|rho| = 1`` and
  ``rho = 0``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from theory.checks import ArgumentError, Array, broadcast, cosine
from theory.error import penalty, size
from theory.rules.selection import Rule, checked_rule
from theory.spectrum import stieltjes

VERSIONS = ("arXiv v1", "ICML 2025", "Gaussian margin", "proved")


def printed_error(
    rule: Rule, version: str, *, d: ArrayLike, n: ArrayLike, ridge: ArrayLike, alignment: ArrayLike = 1.0
) -> Array:
    """Test error by a named form of the isotropic theorem, written as the paper writes it.

    Args:
        rule: Which rows are kept.
        version: ``"arXiv v1"`` or ``"ICML 2025"`` as printed; ``"Gaussian margin"``, v1's Gaussian with everything
            else right; or ``"proved"``, the form the proofs reach, which must equal :func:`theory.isotropic_error`.
        d: Input dimension, above 0.
        n: Pool size before pruning, above 0.
        ridge: Ridge penalty, above 0.
        alignment: Cosine between pruner and labels, in [-1, 1].

    Returns:
        Test errors, NaN where the printed form is undefined (an arccosine of more than 1, or the root of a negative).

    Raises:
        ArgumentError: If an argument is out of range.

    Example:
        >>> from theory import KeepHard, isotropic_error, printed_error
        >>> rule, setting = KeepHard.keeping(0.5), dict(d=512, n=2048, ridge=0.01, alignment=0.9)
        >>> proved = printed_error(rule, "proved", **setting)
        >>> abs(float(proved) - float(isotropic_error(rule, **setting).test_error)) < 1e-9
        True
    """
    if version not in VERSIONS:
        raise ArgumentError(f"version: found {version!r}, expected one of {', '.join(VERSIONS)}.")
    rule, d, n, ridge = checked_rule(rule), size("d", d), size("n", n), penalty(ridge)
    rho = cosine("alignment", alignment)
    broadcast(d=d, n=n, ridge=ridge, alignment=rho, rule=np.empty(rule.shape))
    if rule.agreeing:
        raise ArgumentError("rule: found an agreeing rule, which the paper does not have. Use theory.isotropic_error.")
    k, phi = rule.moments(rho), d / n
    t = stieltjes(phi, k.p, k.gamma, ridge)
    omega, omega_tilde = np.sqrt(1 - rho**2) * k.beta, rho * k.beta_tilde
    dot = omega * t.m + omega_tilde * t.m_tilde
    first, second = (omega, omega_tilde) if version in ("arXiv v1", "ICML 2025") else (k.beta, k.beta_tilde)
    r = first**2 * t.m + second**2 * t.m_tilde
    r_prime = first**2 * t.m_prime + second**2 * t.m_tilde_prime
    nu = k.p * phi * t.m_prime + r_prime - 2 * phi * t.m_prime / (1 + phi * t.m) * r
    with np.errstate(invalid="ignore"):
        if version in ("arXiv v1", "Gaussian margin"):
            mean = np.sqrt(2 / np.pi) * (r if version == "arXiv v1" else dot)
            return np.asarray(ndtr(-mean / np.sqrt(nu - mean**2)))
        return np.asarray(np.arccos(dot / np.sqrt(nu)) / np.pi)
