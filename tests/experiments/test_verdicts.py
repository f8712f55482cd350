"""A verdict follows from the results, whichever way they point."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dp.config import PracticeConfig, plain
from dp.guidance.guidance import GuidanceConfig
from experiments import verdicts
from experiments.data.shift_sets import SHIFTS
from experiments.engine import results
from experiments.engine.results import Job

SPREAD = (-0.2, 0.0, 0.2)  # of the seeds, around the accuracies given below


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path)
    return tmp_path


def write(
    study: str, name: str, accuracy: float, shift: float = 50.0, error_before=None, operations=None, **change
) -> None:
    """Results of a run, one a seed, that ended at `accuracy`."""
    for seed, off in enumerate(SPREAD):
        config = replace(PracticeConfig(seed=seed), **change)
        if name.startswith(("static-", "omega0-", "prune-", "real-")):
            config = plain(config)
        size = config.n_initial + config.rounds * config.n_per_round
        outcome = {
            "pool_size": size,
            "branched_at": None,
            "validation_accuracy": accuracy + off,
            "test_accuracy": accuracy + off,
            "test_predictions": "0" * 10000,
            "shift_accuracy": {each: shift + off for kind in SHIFTS.values() for each in kind},
        }
        additions = [
            {
                "iteration": 100 * (k + 1),
                "pool_size": config.n_initial + (k + 1) * config.n_per_round,
                "trigger": "patience",
                "candidates": 1,
                "generation_seconds": 1.0,
            }
            for k in range(config.rounds)
        ]
        before = [[error_before + off] * config.rounds] * (config.rounds + 1) if error_before is not None else []
        hardness = {"misclassified": [10] * config.rounds if before else [], "error": before}
        result = {"outcomes": [outcome], "additions": additions, "hardness": hardness, "operations": operations}
        source = {"source": "real" if name.startswith("real-") else "generated"}
        generator = {"generator": name.split("-")[1]} if study == "generators" else {}
        record(study, f"{name}-seed{seed}", asdict(config) | source | generator, result)


def record(study: str, name: str, config: dict, result: dict) -> None:
    results.record("p", Job(study, name, config, lambda config, progress: result), result, 1.0)


def scaling(study: str, static: dict[int, float], dp: dict[int, float]) -> None:
    learner = study.split("-")[-1]
    for size, accuracy in static.items():
        write(study, f"static-{size}", accuracy, n_initial=size, rounds=0, n_per_round=0, learner=learner)
    for size, accuracy in dp.items():
        half = size // 2
        write(study, f"DP-{half}", accuracy, n_initial=half, rounds=1, n_per_round=half, learner=learner)


STATIC = {1000: 78.0, 4000: 82.0, 16000: 84.0, 32000: 84.2}
GOOD, BAD = {1000: 82.0, 2000: 84.5, 4000: 86.0}, {1000: 76.0, 4000: 80.0}


@pytest.mark.parametrize(
    ("convnet", "vit", "verdict"),
    [(GOOD, GOOD, "holds here"), (GOOD, BAD, "holds in part"), (BAD, BAD, "does not hold here")],
)
def test_data_efficiency(folder, convnet, vit, verdict):
    scaling("scaling-tuned-convnet", STATIC, convnet)
    scaling("scaling-tuned-vit", STATIC, vit)
    c1, c2 = verdicts.data_efficiency("p"), verdicts.beats_static("p")
    assert c1.verdict == c2.verdict == verdict
    if convnet == GOOD:
        assert 16 < c1.effect < 32 and c1.interval[0] > 1  # 32,000 static images, between 1,000 and 2,000 of DP
        assert c2.effect == pytest.approx(1.8) and c2.more["comparisons"]["tuned-convnet"]["seed_deviations"] > 3
    else:
        assert c1.effect is None and c1.interval == (0.0, 0.0) and c2.effect == pytest.approx(-4.2)
    assert c1.more["effect_equal_scale"] is None and c1.seeds == 3


@pytest.mark.parametrize(("dp", "verdict"), [(GOOD, "holds in part"), (BAD, "does not hold here")])
def test_fewer_images(folder, dp, verdict):
    scaling("scaling-tuned-convnet", STATIC, dp)
    assert verdicts.less_of_everything("C3", "convnet")("p").verdict == verdict
    assert verdicts.less_of_everything("C4", "vit")("p").verdict == "not tested here"


def test_equal_scale_stands_beside_tuned(folder):
    scaling("scaling-tuned-convnet", STATIC, BAD)
    scaling("scaling-equal-convnet", STATIC, GOOD)
    found = verdicts.data_efficiency("p")
    assert found.effect is None and found.more["effect_equal_scale"] > 16 and found.verdict == "holds in part"


@pytest.mark.parametrize(("dp", "verdict"), [(GOOD, "holds in part"), (BAD, "does not hold here")])
def test_a_claim_does_not_hold_before_methods_are_tuned(folder, dp, verdict):
    scaling("scaling-equal-convnet", STATIC, dp)
    c1, c2 = verdicts.data_efficiency("p"), verdicts.beats_static("p")
    assert c1.verdict == c2.verdict == verdict and c1.effect is c2.effect is None
    assert "no runs yet" in c1.measured and "no runs yet" in c2.measured


@pytest.mark.parametrize(
    ("late", "verdict"), [(82.05, "holds here"), (80.0, "holds in part"), (84.0, "does not hold here")]
)
def test_timing_alone(folder, late, verdict):
    scaling("scaling-equal-convnet", STATIC, {})
    write("scaling-equal-convnet", "omega0-1000", late, n_initial=1000, rounds=3, n_per_round=1000)
    found = verdicts.timing_alone("p")
    assert found.verdict == verdict and found.effect == pytest.approx(late - 82.0)


def test_sizes_of_one_seed_are_not_more_seeds(folder):
    scaling("scaling-equal-convnet", STATIC, {})
    for size, late in ((1000, 75.0), (4000, 85.0)):
        half = size // 2
        write("scaling-equal-convnet", f"omega0-{half}", late, n_initial=half, rounds=1, n_per_round=half)
    found = verdicts.timing_alone("p")
    assert found.seeds == 3 and found.effect == pytest.approx(0.0) and found.verdict == "holds here"


@pytest.mark.parametrize(
    ("guided", "plain", "verdict"),
    [(60.0, 80.0, "holds here"), (80.0, 60.0, "does not hold here"), (60.0, 60.0, "not decided here")],
)
def test_hardness(folder, guided, plain, verdict):
    run = {"n_initial": 1000, "rounds": 3, "n_per_round": 1000}
    guidance = GuidanceConfig(omega=0.3)
    write("scaling-equal-convnet", "DP-1000", 80, error_before=guided, guidance=guidance, **run)
    write("scaling-equal-convnet", "omega0-1000", 80, error_before=plain, **run)
    found = verdicts.hardness_moves("p")
    assert found.verdict == verdict and found.effect == pytest.approx(guided)


def test_hardness_compares_runs_of_one_size(folder):
    for rounds, error in ((3, 60.0), (7, 90.0)):
        run = {"n_initial": 1000, "rounds": rounds, "n_per_round": 1000}
        write("scaling-equal-convnet", f"DP-{rounds}", 80, error_before=error, **run)
    write("scaling-equal-convnet", "omega0-1000", 80, error_before=80.0, n_initial=1000, rounds=3, n_per_round=1000)
    assert verdicts.hardness_moves("p").effect == pytest.approx(60.0)


def selection(prune: dict[float, float], guided: dict[float, float]) -> None:
    run = {"n_initial": 1000, "rounds": 1, "n_per_round": 1000}
    ways = {"prune": prune, "cheap": guided, "exact": guided}
    for way, accuracies in ways.items():
        for strength, accuracy in accuracies.items():
            cost = strength if way == "prune" else {"cheap": 1.2, "exact": 3.0}[way]
            if way == "prune":
                how = {"over_sampling": float(strength), "guidance": GuidanceConfig(0.0)}
            else:
                how = {"guidance": GuidanceConfig(strength, gradient="unet" if way == "exact" else "x0")}
            write("selection", f"{way}-{strength:g}", accuracy, operations={"addition": cost}, **run, **how)


def test_selection_with_optima_and_cheap_guidance(folder):
    selection({1: 80.0, 4: 83.0, 18: 81.0}, {0.1: 82.0, 0.3: 85.0, 0.7: 81.0})
    cost, optimum = verdicts.cheaper_than_pruning("p"), verdicts.too_much_selection("p")
    assert cost.verdict == "holds here" and cost.effect == pytest.approx(4 / 3)
    assert "the cheap way: 3.3x" in cost.measured
    assert cost.more["best_gain"] == pytest.approx(2.0)
    assert optimum.verdict == "holds here" and optimum.effect == pytest.approx(4.0)


def test_selection_that_is_the_better_the_stronger_and_pruning_that_wins(folder):
    selection({1: 80.0, 4: 83.0, 18: 85.0}, {0.1: 80.0, 0.3: 81.0, 0.7: 82.0})
    cost, optimum = verdicts.cheaper_than_pruning("p"), verdicts.too_much_selection("p")
    assert cost.verdict == optimum.verdict == "does not hold here"
    assert cost.effect is None and optimum.effect == 0


def test_selection_that_hurts_from_the_start_has_no_optimum(folder):
    selection({1: 85.0, 4: 83.0, 18: 80.0}, {0.1: 84.0, 0.3: 83.0, 0.7: 81.0})
    found = verdicts.too_much_selection("p")
    assert found.verdict == "does not hold here"
    assert {way: each["best"] for way, each in found.more["optima"].items()} == {"prune": 1, "exact": 0, "cheap": 0}


def test_the_strongest_selection_as_the_best_by_luck_leaves_open_whether_more_would_hurt(folder):
    selection({1: 80.0, 4: 83.0, 18: 83.1}, {0.1: 82.0, 0.3: 84.9, 0.7: 85.0})
    assert verdicts.too_much_selection("p").verdict == "not decided here"


def test_pruning_that_wins_when_both_are_tuned_speaks_against_guidance(folder):
    selection({1: 80.0, 4: 83.0, 18: 81.0}, {0.1: 82.0, 0.3: 85.0, 0.7: 81.0})
    scaling("scaling-tuned-convnet", STATIC, GOOD)
    run = {"n_initial": 1000, "rounds": 3, "n_per_round": 1000}
    pruned = {"guidance": GuidanceConfig(0.0), "over_sampling": 4.0}
    write("comparison-convnet", "prune-tuned-4000", 88.0, **run, **pruned)
    found = verdicts.cheaper_than_pruning("p")
    assert found.verdict == "holds in part" and found.more["tuned"]["convnet"]["gain"] == pytest.approx(-2.0)


def test_shifted_images(folder):
    run = {"n_initial": 1000, "rounds": 3, "n_per_round": 1000}
    write("scaling-tuned-convnet", "DP-1000", 80, shift=60.0, **run)
    write("comparison-convnet", "real-4000", 90, shift=55.0, n_initial=4000, rounds=0, n_per_round=0)
    found = verdicts.shifted_images("p")
    assert found.verdict == "holds here" and found.effect == pytest.approx(5.0)


def test_ablation_and_generators(folder):
    for name, accuracy in {"base": 80.0, "patience-fixed": 81.0, "newest-twice": 79.0}.items():
        write("ablation", name, accuracy)
    found = verdicts.patience_and_sampling("p")
    assert found.verdict == "holds in part" and found.effect == pytest.approx(-1.0)
    for name, (recall, accuracy) in {"a": (0.2, 70.0), "b": (0.4, 75.0), "c": (0.6, 74.0)}.items():
        write("generators", f"static-{name}", accuracy, rounds=0)
        record("generators", f"diversity-{name}", {"generator": name, "guidance_scale": 3.0}, {"recall": recall})
    found = verdicts.diverse_generator("p")
    assert found.effect == pytest.approx(4.0) and found.verdict == "holds in part"  # rank correlation 0.5


def test_seeds_that_differ_too_much_to_tell_do_not_make_no_difference_hold(folder, monkeypatch):
    for spread, verdict in (((-0.1, 0.0, 0.1), "holds here"), ((-2.0, 0.0, 2.0), "not decided here")):
        monkeypatch.setitem(globals(), "SPREAD", spread)
        for name in ("base", "patience-fixed", "newest-twice"):
            write("ablation", name, 80.0)
        assert verdicts.patience_and_sampling("p").verdict == verdict


def test_without_results_nothing_is_claimed():
    found = {each.id: each.verdict for each in verdicts.verdicts("p")}
    assert list(found) == [f"C{k}" for k in range(1, 14)]
    assert {id_ for id_, verdict in found.items() if verdict != "not tested here"} == {"C6"}  # counted, not run


def test_what_is_printed_is_json_with_every_field(folder):
    scaling("scaling-tuned-convnet", STATIC, BAD)
    scaling("scaling-equal-convnet", STATIC, {16000: 90.0})
    listed = json.loads(json.dumps(verdicts.as_json(verdicts.verdicts("p")), allow_nan=False))
    for each in listed:
        assert each.keys() >= {"id", "claim", "verdict", "effect", "interval", "seeds", "sources"} and each["claim"]


def test_one_seed_decides_nothing(monkeypatch):
    for spread, decided in (((0.0, 0.1), True), ((0.0,), False)):
        monkeypatch.setitem(globals(), "SPREAD", spread)
        scaling("scaling-tuned-convnet", STATIC, GOOD)
        for path in results.folder("p").glob("*/*-seed1.json") if not decided else ():
            path.unlink()
        found = next(each for each in verdicts.verdicts("p") if each.id == "C1")
        assert (found.verdict != "not tested here") == decided and found.effect > 16
        assert ("one seed" in found.measured) == (not decided) == (found.interval is None)


def test_a_comparison_of_one_seed_does_not_keep_the_others_from_a_verdict(folder):
    scaling("scaling-tuned-convnet", STATIC, GOOD)
    scaling("scaling-equal-vit", STATIC, BAD)
    for path in folder.glob("scaling-equal-vit/DP-500-seed[12].json"):
        path.unlink()
    left_out = verdicts.data_efficiency("p").more["comparisons"]["equal-vit"]
    assert left_out["seeds"] == 3 and not left_out["at_least"]  # a size is, not the comparison
    for path in folder.glob("scaling-equal-vit/DP-*-seed[12].json"):
        path.unlink()
    found = verdicts.data_efficiency("p")
    assert found.verdict == "holds here" and found.more["comparisons"].keys() == {"tuned-convnet"}
