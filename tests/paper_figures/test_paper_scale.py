"""Results of a cluster's runs beside the published numbers: in the right cells, and nothing silently left out."""

import csv
from dataclasses import asdict
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from dp.cli.practise import of_row
from dp.config import PracticeConfig
from dp.paper.row import key
from dp.paper.rows import ROWS
from dp.pool.folder import PoolFolder
from dp.runs.inputs import Source
from dp.samples import Samples
from dp.utils.errors import UserError
from dp.utils.files import write_json
from experiments.engine import results
from paper_figures.cluster import pictures as cluster_pictures
from paper_figures.cluster import published_rows as paper_scale
from paper_figures.cluster import runs as cluster_runs
from paper_figures.drawing import published
from paper_figures.drawing.exhibit import MEASURED, Entry, Exhibit, Missing, save
from paper_figures.report import page as report

LONG = "4/DP 64k + 18 x 32k"  # has three branches


def entry(name: str) -> Entry:
    return Entry(name, "t", MEASURED, 1)


def finished(folder: Path, name: str, val: dict[int, float], seed: int = 0, change=None, **outcome) -> Path:
    """A result as `dp run` writes it: the accuracies by images, the run's own first."""
    generator = next(row for row in ROWS if key(row) == name).generator
    pipeline = "/models/" + generator.split("/")[1] if generator else ""
    config, source = of_row(name, PracticeConfig(seed=seed), Source(pipeline=pipeline))
    settings = {"config": asdict(config), "source": asdict(source), "row": name, "imagenet": "/data/imagenet"}
    outcomes = [
        {"pool_size": size, "branched_at": 9_999 if k else None, "validation_accuracy": value}
        | {"test_accuracy": value + 1}
        | outcome
        for k, (size, value) in enumerate(val.items())
    ]
    result = {"outcomes": outcomes, "additions": [], "settings": settings, "made_by": {}}
    if change is not None:
        change(result)
    path = folder / f"run{len(list(folder.glob('*')))}" / "result.json"
    write_json(path, result)
    return path


@pytest.fixture
def runs(tmp_path) -> Path:
    """Two seeds of a run with branches, a static run, one that patience cut short, one with accuracies out of
    distribution."""
    branches = {256_000: 60.0, 320_000: 61.0, 416_000: 62.0}
    finished(tmp_path, LONG, {640_000: 64.0, **branches})
    finished(tmp_path, LONG, {640_000: 66.0, **{n: value + 2 for n, value in branches.items()}}, seed=1)
    finished(tmp_path, "4/static 130k", {130_000: 59.5})
    finished(tmp_path, "5/DP 654k + 19 x 654k", {9_810_000: 50.25, 1_308_000: 49.5})
    sets = {"v2": 60.5, "sketch": 50.5, "r": 70.5, "a": 20.5}
    ood = {name: {"images": 100, "accuracy": value} for name, value in sets.items()}
    finished(tmp_path, "1/DP 1.9M", {1_858_000: 73.0}, ood=ood)
    finished(tmp_path, "1/Real 130k", {126_689: 88.25}, test_accuracy=None, ood={"r": ood["r"]})
    return tmp_path


def table_of(number: int, found: cluster_runs.Runs) -> Exhibit:
    ours = [{"learner": "ConvNet"}]
    return paper_scale.beside(
        Exhibit(entry(f"table{number}"), "c", ours, table=ours, published=published.table(number)), found
    )


def test_measured_accuracies_are_beside_the_published_ones_of_their_rows(runs):
    found = table_of(4, cluster_runs.read(runs))
    assert found.table == [{"learner": "ConvNet"}] and f"runs of these very settings in {runs}" in found.measured
    lines = {(line["n_initial"], line["rounds"] or 0): line for line in found.published}
    measured = {at: line["real_val measured"] for at, line in lines.items() if line["real_val measured"]}
    expected = {(64_000, 18): "65.00 ± 12.71", (64_000, 6): "61.00 ± 12.71", (64_000, 8): "62.00 ± 12.71"}
    assert measured == expected | {(64_000, 11): "63.00 ± 12.71", (130_000, 0): "59.50"}
    names = list(lines[64_000, 18])
    assert names.index("real_val measured") == names.index("real_val") + 1
    assert (lines[64_000, 18]["real_val"], lines[64_000, 18]["n_final"]) == (67.80, 640_000)
    assert (lines[64_000, 18]["seeds measured"], lines[64_000, 18]["images measured"]) == ("0, 1", "640,000")
    assert "in_sketch measured" not in names  # of no run


def test_out_of_distribution_sets_have_their_columns_in_table_1(runs):
    found = table_of(1, cluster_runs.read(runs)).published
    real, line = [line for line in found if line["real_val measured"]]
    assert (real["method"], real["real_val measured"], real["real_train measured"]) == ("Real", "88.25", None)
    assert (real["in_r measured"], real["in_a measured"]) == ("70.50", None)
    assert (line["method"], line["task"]) == ("DP", "IN-100")
    cells = {name.removesuffix(" measured"): value for name, value in line.items() if name.endswith(" measured")}
    assert cells == {
        "real_val": "73.00",
        "real_train": "74.00",
        "in_v2": "60.50",
        "in_sketch": "50.50",
        "in_r": "70.50",
        "in_a": "20.50",
        "images": "1,858,000",
        "seeds": "0",
    }


def test_exhibits_that_nothing_was_measured_for_stay_as_they_are(runs):
    found = cluster_runs.read(runs)
    other, table2 = Missing(entry("figure8"), "w"), Exhibit(entry("table2"), "c", [], published=published.table(2))
    assert paper_scale.beside(other, found) is other and paper_scale.beside(table2, found) is table2


def test_the_report_shows_them_even_where_our_own_results_are_missing(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "folder", lambda profile: tmp_path / "none" / profile)
    found = cluster_runs.read(runs)
    exhibits = [
        paper_scale.make(found),
        table_of(5, found),
        paper_scale.beside(Missing(entry("table4"), "not yet"), found),
    ]
    shown = [*(save(each, tmp_path / "figures") for each in exhibits[:2]), exhibits[2]]
    report.write(tmp_path / "report.html", "cpu", {"all": shown}, tmp_path / "figures")
    text = (tmp_path / "report.html").read_text()
    assert text.count("<summary>Published, and measured at the paper") == 2
    assert ">65.00\u00a0±\u00a012.71</td>" in text and "not made yet: not yet" in text
    with (tmp_path / "figures" / "paper_scale.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    (short,) = [row for row in rows if row["row"] == "5/DP 654k + 19 x 654k"]
    assert (short["images"], short["real_val"], short["published_real_val"]) == ("9810000", "50.25", "51.198")
    assert (short["real_train"], short["in_v2"]) == ("51.25", "")


def test_the_scaling_curves_go_through_the_means(runs):
    exhibit = paper_scale.make(cluster_runs.read(runs))
    left, right = exhibit.figure.axes
    curves = {each.get_label(): each.lines[0].get_xydata().tolist() for each in left.containers}
    assert curves["DP, measured"] == [[256_000, 61], [320_000, 62], [416_000, 63], [640_000, 65]]
    assert curves["static, measured"] == [[130_000, 59.5]] and len(curves["DP, published"]) == 12
    curves = {each.get_label(): each.lines[0].get_xydata().tolist() for each in right.containers}
    assert curves["DP, measured"] == [[1_308_000, 49.5], [9_810_000, 50.25]]
    (line,) = [line for line in exhibit.table if line["row"] == LONG]
    assert (line["published %"], line["difference"]) == (67.8, "-2.80")


def test_what_is_not_shown_is_named(runs):
    finished(runs, "4/static 64k", {64_000: 50.0}, change=lambda each: each["settings"].update(row=""))
    finished(runs, "4/static 64k", {64_000: 50.0}, change=lambda each: each["settings"]["config"].update(lr=0.1))
    finished(runs, "4/static 64k", {64_000: 50.0}, change=lambda each: each["settings"]["config"].update(lrs=0.1))
    write_json(runs / "unfinished" / "settings.json", {"format": 1})
    found = cluster_runs.read(runs)
    assert not any(key(each.row) == "4/static 64k" for each in found.measured)
    reasons = ("not finished", "not a run of a row", "not with the settings of 4/static 64k (lr)", "lrs: unknown")
    assert len(found.left_out) == 4 and all(any(why in text for text in found.left_out) for why in reasons)
    assert all(text in paper_scale.make(found).caption for text in found.left_out)


def test_another_generator_is_named(runs):
    finished(
        runs, "4/static 64k", {64_000: 50.0}, change=lambda r: r["settings"]["source"].update(pipeline="/m/sd-turbo")
    )
    assert "Otherwise than the row: run6: generator sd-turbo." in table_of(4, cluster_runs.read(runs)).measured


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"outcomes": [', "damaged, not JSON (Expecting"),
        ("[" * 100_000, "damaged (nested too deeply)"),
        ('{"accuracy": 80.0}', "not the result of a run ('settings' missing or unknown)"),
        ("[1, 2]", "damaged (got '[1, 2]', expected an object)"),
        (None, "not the result of a run (real_val 640.0, expected percent)"),
    ],
)
def test_a_damaged_result_is_named_in_one_line(runs, text, message):
    if text is None:
        path = finished(runs, "4/static 64k", {64_000: 640.0})
    else:
        path = runs / "broken" / "result.json"
        path.parent.mkdir()
        path.write_text(text)
    with pytest.raises(UserError) as error:
        cluster_runs.read(runs)
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)


def test_a_folder_without_runs_is_told(runs, tmp_path):
    with pytest.raises(UserError, match=r"no finished run of a row of the paper in .* \(no \*/result.json\)"):
        cluster_runs.read(tmp_path / "nothing")
    with pytest.raises(UserError, match="is a run itself"):
        cluster_runs.read(runs / "run0")


def pool_of(folder: Path, rounds: int) -> None:
    """A pool of six classes; each image is filled with 10 (label + 1) + round."""
    with PoolFolder.create(folder, tuple("abcdef"), (3, 8, 8), shard_size=10) as pool:
        for k in range(rounds):
            labels = torch.arange(30) % 6
            images = (10 * (labels + 1) + k).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
            nan, zero = torch.full((30,), torch.nan), torch.zeros(30)
            samples = Samples(
                images, labels, 100 * k + torch.arange(30), torch.full((30,), k), zero, nan, nan,
                torch.full((30,), -1, dtype=torch.int8), zero.long(),
            )  # fmt: skip
            for first in range(0, 30, 10):
                pool.write(k, first, samples[first : first + 10])
            pool.commit(k, 30)


def additions(count: int):
    return lambda result: result["additions"].extend(
        {"iteration": 10 * k, "pool_size": 30 * k, "entropy": k / 10, "correct_at_birth": 1 - k / 10}
        for k in range(1, count + 1)
    )


def test_pictures_are_of_the_run_with_the_most_additions_that_has_its_pool(runs):
    assert cluster_pictures.make(cluster_runs.read(runs)) is None  # no run made additions
    without = finished(runs, LONG, {640_000: 64.0}, 2, additions(3)).parent
    missing = cluster_pictures.make(cluster_runs.read(runs))
    assert isinstance(missing, Missing) and "has kept its pool" in missing.why
    folder = finished(runs, LONG, {640_000: 64.0}, 3, additions(2)).parent
    pool_of(folder / "pool", 3)
    exhibit = cluster_pictures.make(cluster_runs.read(runs))
    assert folder.name in exhibit.caption and without.name not in exhibit.caption and "a, b, c, d" in exhibit.caption
    assert [row["correct_at_birth"] for row in exhibit.rows] == [0.9, 0.8]
    for axis, round_ in zip(exhibit.figure.axes[:2], (0, 2), strict=True):
        shown = axis.images[0].get_array()
        side = cluster_pictures.SIDE
        found = {int(shown[i * side + 60, j * side + 60, 0]) for i in range(4) for j in range(4)}
        assert found == {10 + round_, 20 + round_, 30 + round_, 40 + round_}
    plt.close(exhibit.figure)
    next((folder / "pool").glob("round-0000/*.parquet")).write_bytes(b"no shard")
    damaged = cluster_pictures.make(cluster_runs.read(runs))
    assert isinstance(damaged, Missing) and str(folder) in damaged.why and "\n" not in damaged.why
