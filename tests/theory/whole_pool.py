"""A simulation that draws every row of the pool and prunes it, written apart from the package: what it is held to."""

import numpy as np
from scipy.optimize import minimize


def whole_pool_errors(
    rule, *, d, n, ridge, alignment, generator_alignment=1.0, label_noise=0.0, loss="squared", replicates, seed
):
    """Return test errors [replicates] and rows kept [replicates] for isotropic inputs; truth and pruner err apart."""
    rng = np.random.default_rng(seed)
    pruner, generator, truth = np.zeros((3, d))
    pruner[0] = 1
    generator[:2] = alignment, np.sqrt(1 - alignment**2)
    truth += generator_alignment * generator
    truth[2] = np.sqrt(1 - generator_alignment**2)
    errors, kept = np.empty(replicates), np.empty(replicates)
    for i in range(replicates):
        x = rng.standard_normal((n, d))
        y = np.sign(x @ generator) * np.where(rng.random(n) < label_noise, -1, 1)
        t = x @ pruner
        keep = rng.random(n) < rule.keep_probability(t)
        if rule.agreeing:
            keep &= np.sign(t) == y
        x, y, kept[i] = x[keep], y[keep], keep.sum()
        if loss == "squared":
            w = np.linalg.solve(x.T @ x / n + ridge * np.eye(d), x.T @ y / n)
        else:
            w = minimize(_logistic, np.zeros(d), (x * y[:, None], n, ridge), jac=True, tol=1e-10).x
        errors[i] = np.arccos(w @ truth / np.linalg.norm(w)) / np.pi
    return errors, kept


def _logistic(w, signed, n, ridge):
    margin = signed @ w
    value = np.logaddexp(0, -margin).sum() / n + ridge / 2 * w @ w
    return value, ridge * w - (1 / (1 + np.exp(margin))) @ signed / n
