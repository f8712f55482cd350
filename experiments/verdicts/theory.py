"""C13: the linear model."""

from experiments.analysis.exponents import exponent, steeper
from experiments.engine.results import load
from experiments.verdicts.verdict import Part, Verdict, above, of_all, untested

STEEPER = 0.05  # more in the exponent than this changes the law, less only its constant
FIXED, ADAPTIVE = "fixed, alignment 1", ("practice, accumulated", "practice, small rounds")
LOSSES = {"logistic": "cross-entropy", "squared": "ridge"}


def linear_model(profile: str) -> Verdict:
    """Judge C13: with many selected rows and an aligned pruner some selection beats keeping all; simulation agrees; the
    exponent of the error in selected rows is larger with a fixed share of the hardest (where it has been computed), and
    for classifiers that are trained, of either loss, with a fixed share and with practice."""
    rows = load(profile, "theory").get("figure3", {}).get("rows")
    if not rows:
        return untested("C13", "no theory results")
    aligned, largest = max(r["rho"] for r in rows), max(r["n_selected"] for r in rows)
    exact = {(r["rho"], r["kept_fraction"], round(r["n_selected"])): r for r in rows if r["series"] == "exact"}
    simulated = [r for r in rows if r["series"] == "simulation"]
    gaps = [
        r["test_accuracy"] - exact[r["rho"], r["kept_fraction"], round(r["n_selected"])]["test_accuracy"]
        for r in simulated
    ]
    end = {p: r["test_accuracy"] for (rho, p, n), r in exact.items() if rho == aligned and n == round(largest)}
    best = max(end, key=lambda p: end[p])
    agrees = all(abs(gap) < max(5 * r["standard_error"], 3 / r["d"]) for gap, r in zip(gaps, simulated, strict=True))
    gain = 100 * (end[best] - end[1.0])
    exponents = {
        row["policy"]: row["exponent_selected"]
        for row in load(profile, "theory").get("exponent", {}).get("rows", [])
        if row["series"] == "exact" and row["spectrum"] == 0 and row["rho"] == 1.0 and row["rounds"] == 1
    }
    hardest = next((policy for policy in exponents if policy.startswith("hardest")), None)
    law = ""
    parts: dict[str, Part] = {"better": best < 1, "simulation agrees": agrees}
    if hardest:
        law = f"; exponent in selected rows: {hardest} {exponents[hardest]:.2f}, all {exponents['keep all']:.2f}"
        parts["steeper"] = exponents[hardest] - exponents["keep all"] > STEEPER
    trained = _trained(profile)
    parts |= {name: holds for name, (holds, _, _) in trained.items()}
    told = "".join(f", trained {name} {own:.2f} (all {plain:.2f})" for name, (_, own, plain) in trained.items())
    return Verdict(
        "C13",
        of_all(list(parts.values())),
        f"theory at {largest:,.0f} selected rows, d = {rows[0]['d']}, rho = {aligned:g}: accuracy of keeping the "
        f"hardest {best:.0%} minus that of keeping all, points: {gain:+.2f}; simulation differs from the exact curves "
        f"by {100 * max(map(abs, gaps)):.2f} at most{law}{told}",
        gain,
        (gain, gain),
        0,
        ("theory/figure3", "theory/exponent", *(["linear_practice"] if trained else [])),
        {"largest_gap_to_simulation": 100 * max(map(abs, gaps)), "kept": best, "parts": parts}
        | ({"exponents": {name: exponents[name] for name in (hardest, "keep all")}} if hardest else {})
        | {"trained": {name: (own, plain) for name, (_, own, plain) in trained.items()}},
    )


def _trained(profile: str) -> dict[str, tuple[Part, float, float]]:
    """Say which trained classifiers have a larger exponent than keeping all, over the last decade, with clean labels.

    The ridge vanishes as rows grow, so that it bounds no error.

    Returns:
        A part per loss and kind of selection (a fixed share by an exact pruner, and the better of two ways to practise
        on accumulated rows): whether it holds, its exponent, and that of keeping all.
    """
    results = load(profile, "linear_practice")
    chosen = (f for f in results.values() if f["config"]["label_noise"] == 0 and "penalty" in f["config"])
    rows = next((found["rows"] for found in chosen), None)
    if not rows:
        return {}
    found: dict[str, tuple[Part, float, float]] = {}
    for loss, name in LOSSES.items():
        plain, _ = exponent(rows, "keep all", loss)
        for kind, policies in {"fixed": (FIXED,), "practice": ADAPTIVE}.items():
            holds = [above(steeper(rows, policy, loss), STEEPER) for policy in policies]
            best = max(exponent(rows, policy, loss)[0] for policy in policies)
            found[f"{kind}, {name}"] = (True if True in holds else None if None in holds else False, best, plain)
    return found
