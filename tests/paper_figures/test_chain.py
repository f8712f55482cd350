"""The whole chain in small: runs, results, figures, report."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from experiments import live, results
from experiments.__main__ import jobs_of
from experiments.profiles import profile
from experiments.run import run
from experiments.scaling import Preset, Scaling
from paper_figures import report
from paper_figures.__main__ import EXHIBITS
from paper_figures.exhibit import save

SMALL = {"iterations": 24, "validate_every": 6, "batch_size": 16}


def small(study: Scaling) -> Scaling:
    preset = Preset(40, 20, 2, (60,))
    plain = (preset,) if study.plain_presets else ()
    base = replace(study.base, **SMALL)
    return replace(study, base=base, static_sizes=(40, 80), presets=(preset,), plain_presets=plain)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Exhibits, by name, and the folder they are in."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "folder", lambda name: folder / name)
        settings = profile("smoke")
        base = replace(settings.scaling[0].base, **SMALL)
        settings = replace(
            settings,
            scaling=tuple(small(study) for study in settings.scaling),
            dynamics=replace(settings.dynamics, base=replace(base, n_initial=20, n_per_round=20)),
            theory=replace(settings.theory, replicates=2),
        )
        run("smoke", jobs_of(settings))
        run("live", live.jobs(replace(settings.live, run=replace(base, n_initial=40, n_per_round=20, rounds=2))))
        exhibits = [module.make("smoke") for module in EXHIBITS.values()]
        for exhibit in exhibits:
            save(exhibit, folder / "figures")
        report.write(folder / "report.html", "smoke", exhibits, folder / "figures")
    return {exhibit.name: exhibit for exhibit in exhibits}, folder


def test_every_figure_has_its_files_and_finite_numbers(drawn):
    exhibits, folder = drawn
    for name, exhibit in exhibits.items():
        with (folder / "figures" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(exhibit.rows) > 0
        assert not any(text in ("nan", "inf") for row in rows for text in row.values())
        if exhibit.figure is not None:
            for suffix in ("png", "pdf"):
                assert (folder / "figures" / f"{name}.{suffix}").stat().st_size > 5000


def test_plotted_accuracies_are_those_of_the_result_files(drawn):
    exhibits, folder = drawn
    rows = [row for row in exhibits["figure4"].rows if row["study"] == "scaling" and row["method"] == "static"]
    found = [row["test_accuracy"] for row in rows]
    files = [results._read(path) for path in sorted((folder / "smoke" / "scaling").glob("static-*.json"))]
    assert sorted(found) == sorted(f["outcomes"][0]["test_accuracy"] for f in files) and len(found) == 4
    means = [
        row["test %"]
        for row in exhibits["table4"].table
        if row["method"] == "static" and row["final size"] == 80 and row["guidance scale"] == 3
    ]
    of_80 = [f["outcomes"][0]["test_accuracy"] for f in files if f["config"]["n_initial"] == 80]
    assert float(means[0].split()[0]) == pytest.approx(np.mean(of_80), abs=0.005)


def test_the_report_is_one_file_with_a_verdict_for_every_claim(drawn):
    _, folder = drawn
    text = (folder / "report.html").read_text()
    assert len(re.findall("holds here<|does not hold here<|not tested here<", text)) == 13
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert text.count('src="data:image/png;base64,') == len(EXHIBITS) - 1  # table 4 has no picture


def test_live_samples_are_pictures_of_both_pools(drawn):
    exhibits, folder = drawn
    samples = results._read(folder / "live" / "live" / "dp.json")["samples"]
    assert {sample["round"] for sample in samples} == {0, 2}
    assert {sample["label"] for sample in samples} == set(range(10))
    assert "1 addition" not in exhibits["live"].caption and "2 additions of 20 images" in exhibits["live"].caption
