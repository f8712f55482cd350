"""C13: the linear model."""

from experiments.engine.results import load
from experiments.verdicts.verdict import Verdict, of_all, untested

STEEPER = 0.05  # more in the exponent than this changes the law, less only its constant


def linear_model(profile: str) -> Verdict:
    """C13: with many selected rows and an aligned pruner some selection beats keeping all; simulation agrees; and the
    exponent of the error in selected rows is larger with a fixed share of the hardest (where it has been computed)."""
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
    law, parts = "", {"better": best < 1, "simulation agrees": agrees}
    if hardest:
        law = f"; exponent in selected rows: {hardest} {exponents[hardest]:.2f}, all {exponents['keep all']:.2f}"
        parts["steeper"] = exponents[hardest] - exponents["keep all"] > STEEPER
    return Verdict(
        "C13",
        of_all(list(parts.values())),
        f"theory at {largest:,.0f} selected rows, d = {rows[0]['d']}, rho = {aligned:g}: accuracy of keeping the "
        f"hardest {best:.0%} minus that of keeping all, points: {gain:+.2f}; simulation differs from the exact curves "
        f"by {100 * max(map(abs, gaps)):.2f} at most{law}",
        gain,
        (gain, gain),
        0,
        ("theory/figure3", "theory/exponent"),
        {"largest_gap_to_simulation": 100 * max(map(abs, gaps)), "kept": best, "parts": parts}
        | ({"exponents": {name: exponents[name] for name in (hardest, "keep all")}} if hardest else {}),
    )
