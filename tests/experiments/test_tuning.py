from dataclasses import asdict, replace

import pytest

from dp.config import PracticeConfig
from experiments.engine import practice_runs as runs
from experiments.engine import results
from experiments.engine.study import Profile
from experiments.profiles import profile
from experiments.studies import jobs_of, length, static_settings, tuned, tuning
from experiments.studies.length import Length
from experiments.studies.static_settings import StaticSettings
from experiments.studies.tuned import Tuned
from experiments.studies.tuning import METHODS, Tuning, draw

SETTINGS = Tuning(
    PracticeConfig(seed=100), learners=("convnet", "vit"), size=4000, random=8, neighbours=(2, 6), later=(2,)
)
SEARCHED = Profile("p", {"tuning": SETTINGS})


def after(settings: Tuned) -> Profile:
    """The search and tuned runs that other studies go on from."""
    return Profile("p", {"tuning": SETTINGS, "tuned": settings})


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path / profile)
    return tmp_path / "p"


def configs(settings: Tuning) -> dict[str, PracticeConfig]:
    return {job.name: runs.settings_of(job.config) for job in tuning.jobs(settings, Profile("p"))}


def record(settings: Tuning, best: set[str], second: frozenset[str] = frozenset()) -> None:
    """Pretend that all trials were run, as they come; `best` were best, `second` next, the others alike."""
    while new := [job for job in tuning.jobs(settings, Profile("p")) if results.state("p", job) != "present"]:
        for job in new:
            accuracy = 90.0 if job.name in best else 85.0 if job.name in second else 80.0
            results.record("p", job, {"outcomes": [{"validation_accuracy": accuracy}]}, 1.0)


def test_every_method_has_the_same_budget_and_ends_with_as_many_images():
    record(SETTINGS, set())
    found = configs(SETTINGS)
    for learner, budget in (("convnet", 8 + 2 + 6), ("vit", 1 + 2)):
        for method in METHODS:
            prefix = f"{learner}-{method.replace(' = ', '')}-"
            mine = [config for name, config in found.items() if name.startswith(prefix)]
            assert len(mine) == budget and len(set(mine)) == budget
            assert {c.n_initial + c.rounds * c.n_per_round for c in mine} == {SETTINGS.size}
            assert {c.learner for c in mine} == {learner}


def test_methods_are_what_they_are_called():
    record(SETTINGS, set())
    for name, config in configs(SETTINGS).items():
        method = name.split("-")[1]
        assert (config.guidance.omega > 0) == (method == "DP")
        assert (config.over_sampling > 1) == (method == "prune")
        assert (config.rounds > 0) == (method != "static")
        assert config.filter == "none" or method == "DP"


def test_a_longer_search_goes_on_from_a_shorter_one():
    for method in METHODS:
        assert draw(method, replace(SETTINGS, random=20))[:8] == draw(method, SETTINGS)


def test_later_trials_are_one_step_from_the_best_of_the_first():
    best = {tuning.trial_name("convnet", method, 5) for method in METHODS}
    record(SETTINGS, best)
    found = [
        job
        for job in tuning.jobs(SETTINGS, Profile("p"))
        if job.name.startswith("convnet") and 8 <= int(job.name[-2:]) < 10
    ]
    for method in METHODS:
        point = draw(method, SETTINGS)[5]
        expected = tuning.beside(point, method, draw(method, SETTINGS), SETTINGS, 2)
        assert len(expected) == 2
        space = tuning.SHARED | METHODS[method]
        for new in expected:
            moved = [axis for axis in space if new[axis] != point[axis]]
            assert len(moved) == 1
            assert abs(space[moved[0]].index(new[moved[0]]) - space[moved[0]].index(point[moved[0]])) == 1
        base = replace(SETTINGS.base, learner="convnet")
        wanted = {tuning.apply(base, method, new, SETTINGS.size) for new in expected}
        mine = {runs.settings_of(job.config) for job in found if job.name.split("-")[1] == method.replace(" = ", "")}
        assert mine == wanted


def test_a_round_goes_on_from_the_best_so_far_and_draws_where_there_are_no_more_neighbours():
    record(SETTINGS, {tuning.trial_name("convnet", method, 9) for method in METHODS})
    found = configs(SETTINGS)
    for method in ("DP", "static"):
        name = f"convnet-{method}-"
        best, last = found[f"{name}09"], [found[f"{name}{trial:02d}"] for trial in range(10, 16)]
        apart = [
            sum(getattr(each, field) != getattr(best, field) for field in ("guidance_scale", "lr", "iterations"))
            + (each.guidance.omega != best.guidance.omega)
            + (each.guidance.interval != best.guidance.interval)
            + (each.patience != best.patience)
            + ((each.n_initial, each.rounds) != (best.n_initial, best.rounds))
            for each in last
        ]
        # A static run has three axes, so at most five neighbours, one of which has been tried.
        assert apart == [1] * 6 if method == "DP" else set(apart[:2]) == {1} and max(apart) > 1


@pytest.mark.parametrize("trial", (4, 9, 12))
def test_a_later_learner_starts_at_the_best_of_the_one_before(trial):
    record(SETTINGS, {tuning.trial_name("convnet", "DP", trial)})
    found = configs(SETTINGS)
    assert found["vit-DP-00"] == replace(found[f"convnet-DP-{trial:02d}"], learner="vit")


def test_a_search_that_is_not_finished_has_no_best():
    record(SETTINGS, set())
    (results.folder("p") / "tuning" / "convnet-DP-03.json").unlink()
    names = [job.name for job in tuning.jobs(SETTINGS, Profile("p"))]
    assert "convnet-DP-08" not in names and "convnet-prune-08" in names
    assert not any(name.startswith("vit-DP") for name in names) and "vit-prune-00" in names


def test_tuning_never_looks_at_test_images(monkeypatch, tmp_path):
    def forbidden():
        raise AssertionError("test images were read")

    monkeypatch.setattr(runs, "test_images", forbidden)
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    job = next(job for job in jobs_of(profile("smoke"), ("tuning",)) if "-DP-" in job.name)
    job.config.update(iterations=40, validate_every=20, n_initial=40, n_per_round=20, rounds=1)
    result = job.compute(job.config, lambda fraction: None)
    assert result["outcomes"][0]["test_accuracy"] is None and result["outcomes"][0]["validation_accuracy"] > 0
    with pytest.raises(AssertionError, match="test images were read"):
        job.compute({name: value for name, value in job.config.items() if name != "purpose"}, lambda fraction: None)


TUNED = Tuned((0, 1), static_sizes=(1000, 4000), dp_sizes=(1000, 4000), size=4000)


def test_tuned_runs_have_what_their_own_search_found_and_seeds_of_their_own():
    record(SETTINGS, {f"convnet-{trial}" for trial in ("static-03", "DP-05", "prune-02")})
    found = configs(SETTINGS)
    runs_of = {f"{job.study}/{job.name}": runs.settings_of(job.config) for job in tuned.jobs(TUNED, SEARCHED)}
    assert len(runs_of) == 2 * 2 * 6  # learners, seeds, runs
    assert {config.seed for config in runs_of.values()} == {0, 1}
    assert SETTINGS.base.seed not in (0, 1)
    own = {"seed", "n_initial", "n_per_round", "rounds", "branch_sizes"}
    for trial, name in (
        ("convnet-static-03", "scaling-tuned-convnet/static-1000-seed0"),
        ("convnet-DP-05", "scaling-tuned-convnet/DP-4000-seed1"),
        ("convnet-prune-02", "comparison-convnet/prune-tuned-4000-seed0"),
        ("vit-DP-00", "scaling-tuned-vit/DP-1000-seed0"),
    ):
        different = {n for n, v in asdict(found[trial]).items() if v != asdict(runs_of[name])[n]}
        assert different <= own, name
        assert runs_of[name].n_initial / found[trial].n_initial == pytest.approx(int(name.split("-")[-2]) / 4000)


def test_runs_with_more_images_than_the_search_are_as_long_as_its_longest():
    base = replace(SETTINGS.base, learner="convnet")
    points = draw("static", SETTINGS)
    short = next(i for i, point in enumerate(points) if point["length"] < 1)
    record(SETTINGS, {tuning.trial_name("convnet", "static", short)})
    settings = replace(TUNED, static_sizes=(4000, 32000))
    lengths = {
        job.name: job.config["iterations"]
        for job in tuned.jobs(settings, SEARCHED)
        if job.config["learner"] == "convnet"
    }
    assert lengths["static-4000-seed0"] == tuning.apply(base, "static", points[short], 4000).iterations
    assert lengths["static-32000-seed0"] == base.iterations > lengths["static-4000-seed0"]


def test_before_its_search_is_finished_a_learner_has_no_tuned_runs():
    record(SETTINGS, set())
    last = results.folder("p") / "tuning" / "vit-prune-02.json"
    last.unlink()
    assert {job.config["learner"] for job in tuned.jobs(TUNED, SEARCHED)} == {"convnet"}


def test_longer_runs_are_the_largest_tuned_ones_in_all_but_the_iterations():
    record(SETTINGS, {f"convnet-{trial}" for trial in ("static-03", "DP-05")})
    settings = Tuned((0, 1, 2), static_sizes=(32000, 1000), dp_sizes=(1000, 8000), size=4000)
    short = {job.name: job for job in tuned.jobs(settings, SEARCHED) if job.study == "scaling-tuned-convnet"}
    longer = length.jobs(Length("convnet", iterations=16000, seeds=(0, 2)), after(settings))
    assert [job.name for job in longer] == [
        f"{name}-seed{seed}" for seed in (0, 2) for name in ("static-32000", "DP-8000")
    ]
    for job in longer:
        assert job.study == "length" and job.config == short[job.name].config | {"iterations": 16000}
        per_iteration = (job.estimate - short[job.name].estimate) / (16000 - short[job.name].config["iterations"])
        assert per_iteration == pytest.approx(0.016), job.name
    (results.folder("p") / "tuning" / "convnet-static-03.json").unlink()
    assert length.jobs(Length("convnet", 16000, (0,)), after(settings)) == []


def test_other_static_settings_are_the_second_best_and_other_scales():
    record(SETTINGS, {"convnet-static-03", "vit-static-02"}, second=frozenset({"vit-static-01"}))
    settings = Tuned((0, 1, 2), static_sizes=(32000, 8000, 1000), dp_sizes=(1000, 8000), size=4000)
    compared = {job.name: job for job in tuned.jobs(settings, SEARCHED) if job.study == "scaling-tuned-vit"}
    searched = compared["static-32000-seed0"].config["guidance_scale"]
    scales = (searched, searched + 1)
    others = static_settings.jobs(StaticSettings(scales, seeds=(0, 2)), after(settings))
    mine = {job.name: job for job in others if job.config["learner"] == "vit"}
    names = ("static-32000-vit-second", f"static-32000-vit-scale-{searched + 1:g}", "static-8000-vit-second")
    assert list(mine) == [f"{name}-seed{seed}" for seed in (0, 2) for name in names]
    trial = configs(SETTINGS)["vit-static-01"]
    for seed in (0, 2):
        scaled = mine[f"{names[1]}-seed{seed}"]
        expected = compared[f"static-32000-seed{seed}"].config | {"guidance_scale": searched + 1}
        assert scaled.study == "static_settings" and scaled.config == expected
        for size in (32000, 8000):
            run = runs.settings_of(mine[f"static-{size}-vit-second-seed{seed}"].config)
            longest = compared[f"static-{size}-seed{seed}"].config["iterations"]
            assert run == replace(trial, n_initial=size, seed=seed, iterations=longest)
