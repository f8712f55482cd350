"""The point of label-aware selection with logistic loss, derived anew (docs/theory.md) and met by three ways.

Nothing here is shared with the package but the function under test: rows are drawn, kept, flipped and fitted by hand.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, ndtri
from scipy.stats import qmc

from theory import KeepHard, isotropic_error

D, N, RIDGE, RHO, TRUTH, NOISE, THRESHOLD = 80, 800, 3e-3, 0.7, 0.8, 0.15, 1.1


def kept(t, h, u):
    """Return which rows are kept and the labels of all: hard margins whose label is the pruner's sign."""
    y = np.sign(RHO * t + np.sqrt(1 - RHO**2) * h) * np.where(u < NOISE, -1, 1)
    return (np.abs(t) <= THRESHOLD) & (y * t > 0), y


def package():
    return isotropic_error(
        KeepHard(THRESHOLD, agreeing=True), d=D, n=N, ridge=RIDGE, alignment=RHO, generator_alignment=TRUTH,
        label_noise=NOISE, loss="logistic",
    )  # fmt: skip


def test_simulation_by_hand():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        x = rng.standard_normal((N, D))
        keep, y = kept(x[:, 0], x[:, 1], rng.random(N))
        signed = (x * y[:, None])[keep]

        def objective(w, signed=signed):
            margin = signed @ w
            return np.logaddexp(0, -margin).sum() / N + RIDGE / 2 * w @ w, RIDGE * w - expit(-margin) @ signed / N

        w = minimize(objective, np.zeros(D), jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0}).x
        generator = np.zeros(D)
        generator[:2] = RHO, np.sqrt(1 - RHO**2)
        truth = TRUTH * generator
        truth[2] = np.sqrt(1 - TRUTH**2)
        # By default the pruner's cosine with the truth is the product: the truth leaves the plane at a right angle.
        errors.append(np.arccos(truth @ w / np.linalg.norm(w)) / np.pi)
    exact = float(package().test_error)
    assert abs(np.mean(errors) - exact) < max(4 * np.std(errors) / np.sqrt(40), 0.02 * exact)


def test_the_equations_derived_anew():
    """ridge a = E[kept y G s], ridge b = E[kept y H s], ((ridge + nu) r)^2 = E[kept s^2] d / n, k (ridge + nu) = d / n.

    With s = expit(-u) at the proximal point u - k s(u) = y (a G + b H + r Z); by Sobol points, iterated with damping.
    """
    g, h, z, u = np.clip(qmc.Sobol(4, seed=1).random_base2(15), 1e-12, 1 - 1e-12).T
    g, h, z = ndtri(g), ndtri(h), ndtri(z)
    keep, y = kept(g, h, u)
    share = keep.mean()
    g, h, z, y = g[keep], h[keep], z[keep], y[keep]
    a, b, r, k, point = 0.5, 0.1, 1.0, 1.0, np.zeros(len(y))
    for _ in range(400):
        m = y * (a * g + b * h + r * z)
        for _ in range(4):  # Newton's steps, from where the last ones ended
            s = expit(-point)
            point -= (point - k * s - m) / (1 + k * s * (1 - s))
        s = expit(-point)
        bend = s * (1 - s)
        nu = share * np.mean(bend / (1 + k * bend))
        size = share * np.mean(s**2)
        # ridge a = E[..] written with nu a on both sides, which makes the iteration contract.
        new = np.array(
            [
                (share * np.mean(y * g * s) + nu * a) / (RIDGE + nu),
                (share * np.mean(y * h * s) + nu * b) / (RIDGE + nu),
                np.sqrt(size * D / N) / (RIDGE + nu),
                D / N / (RIDGE + nu),
            ]
        )
        moved = np.abs(new - (a, b, r, k)).max()
        a, b, r, k = 0.5 * (np.array([a, b, r, k]) + new)
        if moved < 1e-7:
            break
    assert moved < 1e-6
    overlap, norm = TRUTH * (RHO * a + np.sqrt(1 - RHO**2) * b), np.sqrt(a**2 + b**2 + r**2)
    found = package()
    assert abs(np.arccos(overlap / norm) / np.pi - found.test_error) < 2e-3
    assert abs(norm**2 / found.squared_norm - 1) < 1e-2
