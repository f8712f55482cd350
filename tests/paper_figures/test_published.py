from experiments.verdicts import claims
from paper_figures.drawing import published


def test_published_tables_agree_with_the_claims_made_of_them():
    """C1 and C2 follow from tables 4 and 5 of the paper as copied here."""
    static100 = max(r["real_val"] for r in published.table(4) if r["omega"] == 0)
    enough = min(r["n_final"] for r in published.table(4) if r["omega"] and r["real_val"] >= static100)
    assert static100 == 62.32 and enough == 128_000  # the text claims no more than 400k
    static1k = max((r["real_val"], r["n_final"]) for r in published.table(5) if r["omega"] == 0)
    enough = min(r["n_final"] for r in published.table(5) if r["omega"] and r["real_val"] > static1k[0])
    assert static1k[1] / enough > 20


def test_pool_sizes_add_up_but_for_one_printed_row():
    """N + k P is the final size; the row with 27 additions is printed with the size of 26."""
    odd = [
        (number, row["rounds"], row["n_final"])
        for number in (4, 5)
        for row in published.table(number)
        if row["rounds"] and row["n_initial"] + row["rounds"] * row["n_per_round"] != row["n_final"]
    ]
    assert odd == [(4, 27, 1_794_000)]


def test_every_claim_is_listed_once():
    assert list(claims()) == [f"C{i}" for i in range(1, 14)]
