"""The whole chain in small: runs, results, figures, report."""

import csv
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from matplotlib import pyplot as plt

from dp.data.fashion_mnist import test_images, validation_images
from dp.data.image_set import ImageSet
from experiments.analysis import hard_images, intervals
from experiments.data.shift_sets import SHIFTS
from experiments.engine import practice_runs as runs
from experiments.engine import results
from experiments.engine.results import Job
from experiments.engine.study import Profile
from experiments.profiles import profile
from experiments.studies import jobs_of, studies
from experiments.studies.live import LIVE
from experiments.studies.settings import Preset
from paper_figures.drawing.exhibit import THEORY, Exhibit, Missing, make_all, save
from paper_figures.drawing.shared import margin
from paper_figures.exhibits import exhibits
from paper_figures.report import page as report
from paper_figures.report import sources

pytestmark = pytest.mark.slow

EXHIBITS = exhibits()
REAL = ("dynamics", "scaling-equal-convnet")  # the results of other studies are made up
DRAWN_ALONE = [name for name, module in EXHIBITS.items() if module.ENTRY.part == THEORY]
SAVED_TWICE = ("figure2", "figure4", "figure13", "table1", "live")  # each kind of picture and table
SLOW = ("exponent", "adaptive", "phase", "label_aware", "general_covariance")  # theory whose recorded results are shown
RECORDED = results.folder("cpu")
FEW = ImageSet(test_images().images[:1000], test_images().labels[:1000])
PRESET = Preset(40, 20, 2, (60,))
PRUNED = replace(PRESET, branch_sizes=())


def tiny() -> Profile:
    """The smoke profile, smaller: sizes up to 80 images."""
    smoke = profile("smoke").changed
    small = {"iterations": 24, "validate_every": 6, "batch_size": 16, "inference_steps": 4}
    changed = {
        "scaling": tuple(
            replace(
                each,
                static=replace(each.static, **small),
                growing=replace(each.growing, **small),
                static_sizes=(40, 80) if each.learner == "convnet" else (40, 80, 160, 320),
                dp_presets=(PRESET,),
                omega_zero_presets=(PRUNED,),
            )
            for each in smoke["scaling"]
        ),
        "comparison": tuple(
            replace(each, prune=PRUNED.apply(each.prune), real_sizes=(40, 80), reference_seeds=(50, 51, 52))
            for each in smoke["comparison"]
        ),
        # Of fewer images than the largest runs, which therefore are of one length.
        "tuning": replace(smoke["tuning"], size=60),
        "tuned": replace(smoke["tuned"], static_sizes=(40, 80), dp_sizes=(60, 80), size=80),
        "dynamics": replace(
            smoke["dynamics"],
            base=replace(smoke["dynamics"].base, **small | {"validate_every": 4}, n_initial=20, backstop=True),
            seeds=(0,),
            many_size=10,
        ),
        "second_set": replace(smoke["second_set"], static_sizes=(40, 80), presets=(PRUNED,)),
        "theory_practice": replace(
            smoke["theory_practice"], studies=("scaling-equal-vit",), selection="scaling-equal-vit"
        ),
        "live": replace(smoke["live"], run=PRUNED.apply(replace(smoke["live"].run, **small))),
    }
    questions = ("validation_size", "signals", "filtering", "objectives", "off_manifold", "transfer", "learners")
    for name in questions:
        changed[name] = replace(smoke[name], base=PRUNED.apply(replace(smoke[name].base, **small)))
    return Profile("smoke", {**smoke, **changed})


def every_job(settings: Profile) -> Iterator[Job]:
    """All jobs; what a search tries next depends on what it has found."""
    yield from LIVE.jobs(settings.settings(LIVE), settings)
    done: set[tuple[str, str]] = set()
    while new := [job for job in jobs_of(settings) if (job.study, job.name) not in done]:
        yield from new
        done |= {(job.study, job.name) for job in new}


def forget() -> None:
    """What is known of the results: they are others now."""
    sources.source.cache_clear()
    sources._asked_for.cache_clear()


@pytest.fixture(scope="module")
def chain(tmp_path_factory, fabricate):
    """The folder with results of every study, and a patch that has them read."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "folder", lambda name: folder / name)
        some = ImageSet(validation_images().images[:300], validation_images().labels[:300])
        shifted = {name: some for kind in SHIFTS.values() for name in kind}
        patch.setattr(runs, "BUILD", folder / "build")
        patch.setattr(runs, "CHUNK", 40)
        patch.setattr(runs, "shift_sets", lambda: shifted)
        patch.setattr(runs, "validation_images", lambda: some)
        for module in (runs, hard_images, sys.modules[__name__], sys.modules[fabricate.__module__]):
            patch.setattr(module, "test_images", lambda: FEW)
        patch.setattr(intervals, "DRAWS", 200)
        settings = tiny()
        patch.setattr(sources, "profile_of", lambda name: settings)
        for study in ("theory", "theory_features"):
            (folder / "smoke" / study).mkdir(parents=True)
        for job in every_job(settings):
            if job.study == "theory_features" or (job.study == "theory" and job.name in SLOW):
                shutil.copy(RECORDED / job.study / f"{job.name}.json", folder / "smoke" / job.study)
            elif job.study in (*REAL, "theory", "linear_practice", "live"):
                name = "live" if job.study == "live" else "smoke"
                results.record(name, job, job.compute(job.config, lambda fraction: None), 1.0)
            else:
                fabricate("smoke", job)
        yield folder


@pytest.fixture(scope="module")
def drawn(chain):
    """Exhibits by name, drawn and written."""
    forget()
    found = make_all(EXHIBITS.values(), "smoke")
    assert [each.why for each in found if isinstance(each, Missing)] == []
    found = [save(each, chain / "figures") for each in found]
    report.write(chain / "report.html", "smoke", {"all": found}, chain / "figures")
    return {exhibit.name: exhibit for exhibit in found}


def read(chain, study: str, stem: str = "") -> dict[str, dict]:
    return {name: each for name, each in results.load("smoke", study).items() if name.startswith(stem)}


def test_every_figure_has_its_files_and_finite_numbers(chain, drawn):
    assert drawn.keys() == EXHIBITS.keys()
    for name, exhibit in drawn.items():
        with (chain / "figures" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(exhibit.rows) > 0
        assert not any(text in ("nan", "inf") for row in rows for text in row.values())
        assert ((chain / "figures" / f"{name}.tex").exists()) == (exhibit.table is not None)
        if exhibit.figure is not None:
            assert exhibit.description, f"{name}: the report would have no words for it"
            for suffix in ("png", "pdf"):
                assert (chain / "figures" / f"{name}.{suffix}").stat().st_size > 5000


def test_figure4_shows_the_means_of_the_result_files(chain, drawn):
    files = read(chain, "scaling-equal-convnet", "static-")
    rows = [row for row in drawn["figure4"].rows if row["study"] == "scaling-equal-convnet"]
    found = [row["test_accuracy"] for row in rows if row["method"] == "static"]
    assert sorted(found) == sorted(f["outcomes"][-1]["test_accuracy"] for f in files.values()) and len(found) == 4
    means = [
        np.mean([f["outcomes"][-1]["test_accuracy"] for f in files.values() if f["config"]["n_initial"] == size])
        for size in (40, 80)
    ]
    plotted = drawn["figure4"].figure.axes[0].containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(plotted, [(40, means[0]), (80, means[1])])
    table = [
        row["test %"]
        for row in drawn["table4"].table
        if (row["learner"], row["settings"], row["method"], row["final size"]) == ("ConvNet", "equal", "static", 80)
    ]
    assert float(table[0].split()[0]) == pytest.approx(means[1], abs=0.005) and len(table) == 1
    sizes = {(row["pool_size"], row["branch_iteration"] is None) for row in rows if row["method"] == "DP"}
    assert sizes == {(80, True), (60, False)}


def test_figure2_shows_the_logs(chain, drawn):
    files = read(chain, "dynamics")
    assert len(files) == 4
    lines = {line.get_label(): line.get_xydata() for line in drawn["figure2"].figure.axes[0].lines}
    many = files["additions-3-seed0"]
    np.testing.assert_allclose(lines["3 additions of 10"], [(e["iteration"], e["train_loss"]) for e in many["log"]])
    additions = sum(len(each["additions"]) for each in files.values())
    assert f"of {additions} additions raise it" in drawn["figure2"].answer and additions > 0


def test_a_csv_has_what_is_drawn_and_tabulated(chain, drawn):
    rows = {}
    for name in ("figure2", "figure13", "filtering"):
        with (chain / "figures" / f"{name}.csv").open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    added = [
        (int(row["planned_additions"]), int(row["iteration"])) for row in rows["figure2"] if row["kind"] == "addition"
    ]
    files = read(chain, "dynamics").values()
    made = [(each["config"]["rounds"], addition["iteration"]) for each in files for addition in each["additions"]]
    assert sorted(added) == sorted(made) and made
    diversity = {row["set"]: row for row in rows["figure13"] if row["kind"] == "diversity"}
    for line in drawn["figure13"].table:
        name, *measures = line
        assert [float(diversity[line[name]][each]) for each in measures] == [line[each] for each in measures]
    for line in drawn["filtering"].table:
        runs = [row for row in rows["filtering"] if row["runs"] == line["runs"]]
        right, cost = (np.mean([float(row[each]) for row in runs]) for each in ("label_right", "cost_candidates"))
        assert line["label right %"].startswith(f"{right:.1f} ±") and line["cost (candidates)"] == f"{cost:.2f}"


def test_figure5_compares_with_plain_images(chain, drawn):
    tests = {
        name: [each["outcomes"][-1]["test_accuracy"] for each in read(chain, "selection", name).values()]
        for name in ("prune-1-", "cheap-0.3-")
    }
    rows = [row for row in drawn["figure5"].rows if (row["way"], row["strength"]) == ("cheap", 0.3)]
    gain = np.mean(tests["cheap-0.3-"]) - np.mean(tests["prune-1-"])
    assert np.mean([row["gain"] for row in rows]) == pytest.approx(gain) and len(rows) == 2
    assert [row["operations"] for row in rows] == pytest.approx([1.3, 1.3])


def test_figure6_is_aligned_at_birth(chain, drawn):
    rows = drawn["figure6_left"].rows
    assert {row["error"] for row in rows if row["distance"] == 0} == {100}
    assert {row["method"] for row in rows if row["panel"] == "ConvNet, equal settings"} == {"DP", "omega = 0"}
    assert min(row["distance"] for row in rows) < 0 < max(row["distance"] for row in rows)


def test_figure9_pairs_runs_of_one_seed(chain, drawn):
    files = read(chain, "scaling-equal-convnet")
    for row in drawn["figure9"].rows:
        if (row["setting"], row["learner"]) == ("equal", "convnet"):
            late = files[f"omega0-40-seed{row['seed']}"]["outcomes"][-1]["test_accuracy"]
            static = files[f"static-80-seed{row['seed']}"]["outcomes"][-1]["test_accuracy"]
            assert row["difference"] == pytest.approx(late - static)


def test_table1_has_every_way_of_training_and_the_hard_images(chain, drawn):
    rows = [row for row in drawn["table1"].table if row["learner"] == "ConvNet" and row["settings"] in ("", "equal")]
    assert [row["method"] for row in rows] == ["real", "real", "static", "prune", "DP"]
    assert [row["generated"] for row in rows] == [0, 0, 80, 40 + 2 * 20 * 2, 80]
    digits = np.array([list(each["outcomes"][-1]["test_predictions"]) for each in _references(chain)], int)
    wrong = (digits != test_images().labels.numpy()).mean(0) > 0.5
    assert f"{wrong.sum():,} test images that most" in drawn["table1"].caption and wrong.any()


def _references(chain) -> list[dict]:
    return [r for learner in ("convnet", "vit") for r in read(chain, f"comparison-{learner}", "reference-").values()]


def test_tables_of_the_other_studies(chain, drawn):
    [row] = [row for row in drawn["table2"].table if row["generator"] == "narrow"]
    files = read(chain, "generators")
    gaps = [
        files[f"DP-narrow-seed{s}"]["outcomes"][-1]["test_accuracy"]
        - files[f"static-narrow-seed{s}"]["outcomes"][-1]["test_accuracy"]
        for s in (0, 1)
    ]
    assert float(row["difference"].split()[0]) == pytest.approx(np.mean(gaps), abs=0.005)
    assert [(row["omega"], row["patience"]) for row in drawn["table3"].table][-2:] == [
        (0.3, "fixed"),
        (0.3, "incremental"),
    ]
    for learner, method in product(("ConvNet", "ViT"), ("static", "DP", "prune", "omega = 0")):
        search = [row for row in drawn["tuning"].table if row["learner"] == learner]
        trials = [row for row in search if row["method"] == method]
        assert len(trials) == 2
        best = max(row["validation %"] for row in trials)
        assert [row["validation %"] for row in trials if row["best"]] == [best]
    published = [row for row in drawn["table5"].table if row["learner"] == "ViT-B, published"]
    reached = {row["DP images"]: row["static images as good"] for row in published}
    assert reached[640_000] == "not reached" and 320_000 < reached[320_000] < 1_300_000


def test_the_report_is_one_file_with_a_verdict_for_every_claim(chain, drawn):
    text = (chain / "report.html").read_text()
    claims = text[text.index('<section id="claims">') : text.index('<section id="look">')]
    verdicts = "(?:holds here|holds in part|does not hold here|not decided here|not tested here)"
    assert len(re.findall(f'<span class="chip \\w+">{verdicts}</span> <b>C', claims)) == 13
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text) and "not made yet" not in text
    assert text.count('<div class="figure"><img') == sum(each.figure is not None for each in drawn.values())
    assert text.count("<figure data-omegas=") > 1 and text.count("data-additions=") == 3  # the initial pool and 2 more


def test_live_samples_are_pictures_of_both_pools(chain, drawn):
    samples = results.load("live", "live")["dp"]["samples"]
    assert {sample["round"] for sample in samples} == {0, 2}
    assert {sample["label"] for sample in samples} == set(range(10))
    assert "2 additions of 20 images" in drawn["live"].caption


def test_the_same_results_give_the_same_bytes_and_no_other_study_is_read(chain, drawn, tmp_path, monkeypatch):
    settings = tiny()
    for name, module in EXHIBITS.items():
        if name in DRAWN_ALONE:
            continue
        here = tmp_path / name
        own = {job.study for each in module.ENTRY.studies if each != "live" for job in jobs_of(settings, (each,))}
        for profile_name, folders in (("smoke", own), ("live", {"live"} & set(module.ENTRY.studies))):
            (here / profile_name).mkdir(parents=True)
            for study in folders:
                (here / profile_name / study).symlink_to(chain / profile_name / study)
        with monkeypatch.context() as patch:
            patch.setattr(results, "folder", lambda profile_name, here=here: here / profile_name)
            [again] = make_all([module], "smoke")
        assert isinstance(again, Exhibit), again
        assert again.rows == drawn[name].rows and again.table == drawn[name].table, name
        if name in SAVED_TWICE:
            save(again, tmp_path / "again")
    written = sorted(path for path in (tmp_path / "again").iterdir() if path.suffix != ".pdf")
    assert len(written) > 2 * len(SAVED_TWICE)
    for path in written:
        assert path.read_bytes() == (chain / "figures" / path.name).read_bytes(), path.name


def test_absent_studies_are_named_and_the_rest_is_drawn(chain, drawn, tmp_path, monkeypatch):
    for study in ("scaling-equal-convnet", "ablation", "theory"):
        wanted = (
            shutil.ignore_patterns("figure7*", "errata*", *(f"{name}*" for name in SLOW)) if study == "theory" else None
        )
        shutil.copytree(chain / "smoke" / study, tmp_path / "smoke" / study, ignore=wanted)
    for path in (tmp_path / "smoke" / "scaling-equal-convnet").glob("*-seed1.json"):
        path.unlink()
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    found = {each.name: each for each in make_all(EXHIBITS.values(), "smoke")}
    made = {name for name, each in found.items() if isinstance(each, Exhibit)}
    expected = {"figure1", "figure4", "figure6_left", "figure9", "table1", "table3", "table4", "table5"}
    assert made == expected | {"figure3", "figure5c"}
    assert "1 seed." in found["figure4"].caption
    assert "python -m experiments run grids --profile smoke" in found["figure8"].why
    assert "python -m experiments live" in found["live"].why
    shown = [save(each, tmp_path / "figures") if name in made else each for name, each in found.items()]
    report.write(tmp_path / "report.html", "smoke", {"all": shown}, tmp_path / "figures")
    text = (tmp_path / "report.html").read_text()
    sections = {name: text.split(f'<section id="{name}">')[1].split("</section>")[0] for name in found}
    assert all("not made yet: " in sections[name] for name in found.keys() - made)


CUT_OFF = """[...document.querySelectorAll('table, img, svg')].filter(e => {
  const place = e.closest('.scroll') || e.closest('section');
  const end = Math.min(innerWidth, place ? place.getBoundingClientRect().right : innerWidth);
  return e.offsetParent && !place?.classList.contains('wide') && e.getBoundingClientRect().right > end + 1;
}).map(e => e.outerHTML.slice(0, 200))"""


def test_the_report_in_a_browser(chain, drawn):
    """At the widths of a desk and a telephone, light and dark, without the network."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here (Debian's package chromium)")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
            page = context.new_page()
            heard: list[str] = []
            page.on("console", lambda message, heard=heard: heard.append(message.text))
            page.on("pageerror", lambda error, heard=heard: heard.append(str(error)))
            page.on("request", lambda request, heard=heard: heard.append(request.url[:40]))
            page.goto(f"file://{chain / 'report.html'}")
            assert [each for each in heard if not each.startswith(("file://", "data:"))] == []
            pictures = page.evaluate("[...document.querySelectorAll('.figure img')].map(i => [i.naturalWidth, i.alt])")
            assert len(pictures) > 15 and all(size > 100 and len(alt) > 20 for size, alt in pictures)
            links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))")
            assert len(links) > 30 and page.evaluate("x => x.filter(i => !document.getElementById(i))", links) == []
            first = page.evaluate("document.querySelector('svg, img').getBoundingClientRect().top")
            assert first < 900, "the first picture is below the first screen"
            for every in (False, True):  # as it opens, and with all that is folded
                page.evaluate("x => document.querySelectorAll('details').forEach(d => d.open = x)", every)
                page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.evaluate(CUT_OFF) == [], (width, scheme, every)
            if (width, scheme) in ((390, "light"), (1280, "dark")):  # each once: it is slow
                violations = Axe().run(page).response["violations"]
                assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == [], (width, scheme)
            slider(page)
        browser.close()


def slider(page) -> None:
    """Moving a slider changes what is seen."""
    seen = "[...document.querySelectorAll('#look-guidance figure')].filter(f => !f.hidden).map(f => f.dataset.omegas)"
    layers = "[...document.querySelectorAll('.map img')].filter(i => !i.hidden).length"
    assert page.evaluate(seen) == ["0"] and page.evaluate(layers) == 3
    page.locator("#look-guidance input").first.press("End")
    assert page.evaluate(seen) != ["0"] and len(page.evaluate(seen)) == 1
    page.locator("#look-pool input").first.press("Home")
    assert page.evaluate(layers) == 1


def test_points_to_hover_over_are_where_the_points_are(chain, drawn):
    files = read(chain, "scaling-equal-convnet", "static-80-")
    values = [each["outcomes"][-1]["test_accuracy"] for each in files.values()]
    [point] = [
        each
        for each in drawn["figure4"].points
        if each.text.startswith("static") and f"{np.mean(values):.4g} " in each.text and each.text.endswith(" at 80")
    ][:1]
    half = margin(values)  # 0 where two seeds happen to classify as many images right
    assert f"± {half:.3g} " in point.text if half else "±" not in point.text
    picture = plt.imread(chain / "figures" / "figure4.png")
    row, column = round(point.top * picture.shape[0]), round(point.left * picture.shape[1])
    around = picture[row - 4 : row + 5, column - 4 : column + 5, :3]
    assert np.abs(around - 0x55 / 255).max(-1).min() < 0.02  # the colour of static


def test_a_damaged_result_is_named_and_the_rest_is_drawn(chain, drawn, tmp_path, monkeypatch):
    for study in ("scaling-equal-convnet", "ablation"):
        shutil.copytree(chain / "smoke" / study, tmp_path / "smoke" / study)
    first, *_, last = sorted((tmp_path / "smoke" / "ablation").iterdir())
    first.write_text(first.read_text().replace('"seed": 0', '"seed": 7'))
    last.unlink()
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    forget()
    found = make_all([EXHIBITS["figure4"], EXHIBITS["table3"]], "smoke")
    report.write(tmp_path / "report.html", "smoke", {"all": [save(found[0], tmp_path), found[1]]}, tmp_path)
    forget()
    text = (tmp_path / "report.html").read_text()
    assert isinstance(found[1], Missing) and f"{first}: damaged (it is not as it was written" in found[1].why
    assert f"not made yet: 1 of 12 results of this study (ablation/{last.stem})" in text
    assert text.count("(see the remarks there)") == 3  # C11; C1 and C2, since other learners' scaling is absent
    assert text.count('<div class="figure"><img') == 1 and text.count(f"{first}: damaged (it is not as it was") >= 2


def test_results_that_nobody_asks_for_are_told(chain, drawn, tmp_path, monkeypatch):
    """They are drawn: a seed that the profile has given up would otherwise go unnoticed."""
    shutil.copytree(chain / "smoke", tmp_path / "smoke")
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    known = results.load("smoke", "scaling-equal-convnet")["static-80-seed0"]
    job = Job("scaling-equal-convnet", "static-80-seed9", known["config"] | {"seed": 9}, dict)
    results.record("smoke", job, {name: known[name] for name in ("outcomes", "log", "additions")}, 1.0)
    forget()
    (line,) = sources.remarks([sources.source("scaling", "smoke")])
    forget()
    assert line == (
        "drawn though the profile does not ask for them: scaling-equal-convnet/static-80-seed9; remove them"
    )
    # What follows a search is not known to be unasked for before the search is finished.
    next((tmp_path / "smoke" / "tuning").iterdir()).unlink()
    everything = [sources.source(study, "smoke") for study in studies()]
    forget()
    assert not any(each.left_over for each in everything)


CUT, EDITED = (lambda text: text[: len(text) // 2]), (lambda text: text.replace(": 1.", ": 2."))


@pytest.mark.parametrize(
    ("study", "spoil"),
    # Others ask the first two what to run, and verdicts the last two.
    [("tuning", CUT), ("selection", EDITED), ("theory", EDITED), ("comparison-convnet", CUT)],
)
def test_a_damaged_file_that_others_depend_on_leaves_the_rest(chain, drawn, study, spoil, tmp_path, monkeypatch):
    shutil.copytree(chain / "smoke", tmp_path / "smoke")
    path = next(each for each in sorted((tmp_path / "smoke" / study).iterdir()) if ": 1." in each.read_text())
    path.write_text(spoil(path.read_text()))
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    forget()
    names = ("table1", "table3", "table4", "tuning", "theory_practice", "theory_errata")
    found = make_all([EXHIBITS[name] for name in names], "smoke")
    shown = [save(each, tmp_path) if isinstance(each, Exhibit) else each for each in found]
    report.write(tmp_path / "report.html", "smoke", {"all": shown}, tmp_path)
    forget()
    assert str(path) in (tmp_path / "report.html").read_text()
    assert isinstance(found[1], Exhibit)  # the ablation is whole


def test_variants_are_compared_with_the_run_of_their_sizes_and_seeds(chain, drawn):
    [line] = [row for row in drawn["objectives"].table if row["runs"] == "DP by margin"]
    margin, dp = read(chain, "objectives", "margin-"), read(chain, "scaling-equal-convnet", "DP-40-")
    gaps = [
        margin[f"margin-seed{seed}"]["outcomes"][-1]["test_accuracy"]
        - dp[f"DP-40-seed{seed}"]["outcomes"][-1]["test_accuracy"]
        for seed in (0, 1)
    ]
    assert float(line["difference"]) == pytest.approx(np.mean(gaps), abs=0.006) and line["seeds"] == 2
    named = [row["runs"] for row in drawn["objectives"].table]
    assert named[:3] == ["DP", "omega = 0", "static"] and len(named) == 10
    filtered = {row["runs"]: row["label right %"] for row in drawn["filtering"].table}
    assert filtered["round trip, omega 0.6"] == "66.0 ± 0.0" and len(filtered) == 8
    costs = {row["runs"]: row["cost (candidates)"] for row in drawn["filtering"].table}
    assert costs["no filter, omega 0.6"] == "1.00" and costs["round trip, omega 0.6"] == "1.50"


def test_other_static_settings_are_beside_the_searched_ones(chain, drawn):
    exhibit = drawn["static_settings"]
    rows = {row["runs"]: row for row in exhibit.table}
    found = read(chain, "static_settings", "static-80-")
    stems = {name.rpartition("-seed")[0] for name in found}
    assert {stem for stem in stems if "second" in stem} == {f"static-80-{each}-second" for each in ("convnet", "vit")}
    assert len(stems) > 2 and sum(name.endswith("searched") for name in rows) == 2 == len(rows) - len(stems)
    for stem in stems:
        others = read(chain, "static_settings", f"{stem}-")
        config = others[f"{stem}-seed0"]["config"]
        learner = {"convnet": "ConvNet", "vit": "ViT"}[config["learner"]]
        row = rows[f"{learner}, 80 images, scale {config['guidance_scale']:g}, learning rate {config['lr']:g}"]
        tuned = read(chain, f"scaling-tuned-{config['learner']}", "static-80-")
        gaps = [
            other["outcomes"][-1]["test_accuracy"] - base["outcomes"][-1]["test_accuracy"]
            for other, base in zip(others.values(), tuned.values(), strict=True)
        ]
        assert float(row["difference"]) == pytest.approx(np.mean(gaps), abs=0.006) and row["seeds"] == len(gaps) == 2
        assert "second" in stem or row["difference"] in exhibit.answer
    assert exhibit.answer.count("settings second in the search") == 2


def test_longer_runs_are_beside_the_tuned_ones_of_their_seeds(chain, drawn, tmp_path, monkeypatch):
    short, long = drawn["length"].table
    assert (short["iterations"], long["iterations"], long["seeds"]) == (100, 200, 2)
    for line, study in ((short, "scaling-tuned-convnet"), (long, "length")):
        static, dp = (
            [each["outcomes"][-1]["test_accuracy"] for each in read(chain, study, f"{method}-80-").values()]
            for method in ("static", "DP")
        )
        low, high = intervals.difference_interval(dp, static)
        assert line["DP - static"] == f"{np.mean(dp) - np.mean(static):+.2f}"
        assert line["95% interval"] == f"{low:+.2f} to {high:+.2f}"
    for study in ("length", "scaling-tuned-convnet"):
        shutil.copytree(chain / "smoke" / study, tmp_path / "smoke" / study)
    monkeypatch.setattr(results, "folder", lambda name: tmp_path / name)
    (tmp_path / "smoke" / "scaling-tuned-convnet" / "DP-80-seed1.json").unlink()
    [fewer] = make_all([EXHIBITS["length"]], "smoke")
    assert [line["static %"].count("±") for line in fewer.table] == [1, 1]  # both seeds of static training
    assert [(line["DP %"].count("±"), line["95% interval"]) for line in fewer.table] == [(0, None)] * 2
    shutil.rmtree(tmp_path / "smoke" / "scaling-tuned-convnet")
    [missing] = make_all([EXHIBITS["length"]], "smoke")
    assert "python -m experiments run tuned --profile smoke" in missing.why
