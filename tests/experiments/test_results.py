"""Results are found by what made them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dp.utils.errors import UserError
from experiments import commands as command_line
from experiments.engine import results
from experiments.engine.check import check, differences
from experiments.engine.results import Job
from experiments.engine.study import Profile
from experiments.engine.workers import run
from experiments.profiles import profile, smoke
from experiments.studies import dynamics, jobs_of, studies
from paper_figures import commands as figures
from tests.experiments.small_jobs import depends_on_the_day, fails_at_three, square


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path / profile)
    return tmp_path


def jobs(compute=square, **change) -> list[Job]:
    return [
        Job("study", f"run-{x}", {"x": x, "y": 1} | (change if x == 2 else {}), compute, estimate=1) for x in range(4)
    ]


def times(folder: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def test_only_what_is_absent_or_stale_is_computed(own_folder):
    assert run("p", jobs(), workers=2) == 4
    first = times(own_folder)
    assert run("p", jobs()) == 0 and times(own_folder) == first

    (own_folder / "p" / "study" / "run-1.json").unlink()
    assert run("p", jobs(), workers=1) == 1
    second = times(own_folder)
    assert {name for name in first if second[name] != first[name]} == {"run-1"}

    assert [results.state("p", job) for job in jobs(y=5)] == ["present", "present", "stale", "present"]
    assert run("p", jobs(y=5), workers=1) == 1
    third = times(own_folder)
    assert {name for name in first if third[name] != second[name]} == {"run-2"}
    assert results.load("p", "study")["run-3"]["square"] == 9


def test_a_file_depended_on_makes_a_result_stale(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    weights = tmp_path / "weights"
    states = []
    (tmp_path / "later").write_text("c")
    for content in ("a", "b", "a"):
        weights.write_text(content)
        results._checksum.cache_clear()
        job = Job("study", "run", {"x": 2}, square, (weights,))
        if not states:
            run("p", [job], workers=1)
        states.append(results.state("p", job))
    assert states == ["present", "stale", "present"]
    # A file that was not known to matter when the result was made counts as unchanged.
    assert results.state("p", replace(job, depends=(weights, tmp_path / "later"))) == "present"


def test_a_setting_that_did_not_exist_yet_counts_as_its_default(own_folder):
    old = Job("study", "run", {"x": 2, "part": {"a": 1}}, square)
    run("p", [old], workers=1)
    defaults = {"z": 0, "part": {"a": 5, "b": (7,)}}

    def asked_for(z, b):
        return Job("study", "run", {"x": 2, "z": z, "part": {"a": 1, "b": b}}, square, defaults=defaults)

    assert results.state("p", asked_for(0, (7,))) == "present"
    assert results.state("p", asked_for(1, (7,))) == results.state("p", asked_for(0, (8,))) == "stale"


def test_a_failure_keeps_what_was_computed(own_folder):
    with pytest.raises(UserError, match="x: got 3"):
        run("p", jobs(fails_at_three), workers=1)
    assert sorted(times(own_folder)) == ["run-0", "run-1", "run-2"]


def test_a_result_says_what_made_it(own_folder):
    run("p", jobs()[:1])
    result = json.loads((own_folder / "p" / "study" / "run-0.json").read_text())
    made = result["made_by"]
    assert result["config"] == {"x": 0, "y": 1} and result["inputs"] == {}
    assert made["packages"]["torch"].startswith("2.14.1") and made["hardware"]["cores"] and made["seconds"] >= 0


def test_a_damaged_result_is_named(own_folder):
    path = own_folder / "p" / "study" / "run-0.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(UserError, match=r"run-0\.json: damaged, not JSON"):
        run("p", jobs()[:1])


def test_changing_one_setting_of_a_study_changes_only_its_jobs():
    settings = profile("cpu")
    own = settings.settings(dynamics.STUDY)
    changed = Profile("cpu", {"dynamics": replace(own, base=replace(own.base, lr=0.5))})
    before, after = (dict.fromkeys([]) for _ in range(2))
    for found, which in ((before, settings), (after, changed)):
        found.update({(job.study, job.name): job.config for job in jobs_of(which)})
    assert before.keys() == after.keys()
    assert {study for (study, name), value in before.items() if after[study, name] != value} == {"dynamics"}


@pytest.mark.parametrize("name", ["cpu", "smoke"])
def test_names_are_unique(name):
    names = [(job.study, job.name) for job in jobs_of(profile(name))]
    assert len(names) == len(set(names))
    # Tuned runs are results of the scaling and comparison studies; the model is fitted to what has been measured; ideas
    # start from what searches have found.
    of_others = {"tuned", "length", "static_settings", "theory_practice", "ideas"}
    assert {study.split("-")[0] for study, _ in names} == studies().keys() - of_others


def test_no_study_runs_at_full_length_in_smoke():
    assert smoke.CHANGES.keys() == studies().keys() | {"live"}


def test_unknown_study_and_profile_are_named():
    with pytest.raises(UserError, match='study: got "scalling"'):
        jobs_of(profile("cpu"), ("scalling",))
    for of_profile in (command_line.status, command_line.verdicts, command_line.run_live, figures.main):
        arguments = {"profile" if of_profile is figures.main else "profile_name": "gpu"}
        with pytest.raises(UserError, match='profile: got "gpu"'):
            of_profile(**arguments)


def test_a_single_result_can_be_named():
    (job,) = jobs_of(profile("cpu"), ("dynamics/additions-2-seed1",))
    assert (job.study, job.name) == ("dynamics", "additions-2-seed1")


def test_results_that_come_out_again_are_told_from_those_that_do_not():
    run("p", jobs())
    assert check("p", jobs()[:3]) == {f"study/run-{x}": [] for x in range(3)}
    chance = jobs(depends_on_the_day)
    run("p", [replace(chance[3], study="chance")])
    assert check("p", [replace(chance[2], study="chance")]) == {}  # not recorded
    (lines,) = check("p", [replace(chance[3], study="chance")]).values()
    assert len(lines) == 1 and lines[0].startswith("runs[1].value: recorded 0.")


def test_a_setting_that_a_recorded_result_does_not_know_is_no_difference():
    old = Job("study", "run", {"x": 2}, square)
    run("p", [old], workers=1)
    new = replace(old, config={"x": 2, "z": 0}, defaults={"z": 0})
    assert check("p", [new]) == {"study/run": []}


def test_a_copy_of_a_result_is_not_taken_for_another(own_folder):
    run("p", jobs(), workers=1)
    folder = own_folder / "p" / "study"
    (folder / "run-9.json").write_bytes((folder / "run-1.json").read_bytes())
    with pytest.raises(UserError, match=r"run-9\.json: it is the result study/run-1, under another name; remove it"):
        results.load("p", "study")


def test_differences_see_what_is_missing_and_how_many_there_are():
    one = {"a": [1, 2], "b": None, "made_by": {"seconds": 1}}
    assert list(differences(one, {"a": [1, 2], "b": None})) == []
    assert list(differences(one, {"a": [1, 2, 3], "c": 0.5})) == [
        "a: recorded [1, 2], now [1, 2, 3]",
        "c: recorded None, now 0.5",
    ]


def test_numbers_may_differ_by_the_tolerance_and_nothing_else_may():
    one = {"a": [1.0, 0.0], "b": "123", "c": True}
    assert list(differences(one, {"a": [1.0 + 1e-7, 1e-7], "b": "123", "c": True}, 1e-6)) == []
    found = list(differences(one, {"a": [1.0 + 1e-5, 0.0], "b": "124", "c": 1.0000001}, 1e-6))
    assert [line.split(":")[0] for line in found] == ["a[0]", "b", "c"]
    predictions = ("0123456789" * 10, "0123456789" * 9 + "0123456788")
    assert not list(differences(*predictions, 0.01)) and list(differences(*predictions, 0.009))


def test_nothing_to_check_is_told(own_folder):
    with pytest.raises(UserError, match="check: nothing of dynamics is recorded"):
        command_line.check(("dynamics",))


def test_status_counts_results_and_hours(monkeypatch, capsys):
    monkeypatch.setattr(command_line, "jobs_of", lambda *_: [replace(job, estimate=1800) for job in jobs()])
    for job in jobs()[:2]:
        results.record("p", job, {}, seconds=7200)
    monkeypatch.setattr(command_line, "profile", lambda name: None)
    command_line.status(profile_name="p")
    assert capsys.readouterr().out.splitlines() == [
        "absent   study/run-2",
        "absent   study/run-3",
        "study: 2 present, 2 absent; took 4.0 core-hours, about 1.0 to go",
        "all: took 4.0 core-hours, about 1.0 to go",
    ]
