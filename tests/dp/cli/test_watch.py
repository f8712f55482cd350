"""The page that runs are watched by."""

import http.client
import json
import shutil
import threading
import time
from functools import partial
from http.server import ThreadingHTTPServer

import pytest

from dp.__main__ import main
from dp.cli.watch import Handler, in_words, page
from dp.config import PracticeConfig
from dp.runs.overview import overview_of
from dp.utils.errors import UserError

SHORT = "--n-initial 20 --n-per-round 10 --rounds 1 --iterations 20 --validate-every 5 --inference-steps 2".split()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a finished run and one that is going on: the same, without its result."""
    folder = tmp_path_factory.mktemp("runs")
    main(["run", str(folder / "done"), *SHORT])
    shutil.copytree(folder / "done", folder / "going")
    (folder / "going" / "result.json").unlink()
    left = {
        "iterations": 15,
        "of": 20,
        "images": {"round": 1, "made": 4, "of": 10},
        "images_per_second": {"plain": 2.5},
    }
    left |= {"seconds_left": 7260.0, "at_least": True, "written": time.time()}
    (folder / "going" / "progress.json").write_text(json.dumps(left))
    return folder


def test_a_run_is_told_from_its_files(runs):
    done, going = overview_of(runs / "done"), overview_of(runs / "going")
    recorded = json.loads((runs / "done" / "result.json").read_text())
    assert (done.state, going.state) == ("finished", "running")
    assert [each["test_accuracy"] for each in done.outcomes] == [each["test_accuracy"] for each in recorded["outcomes"]]
    assert [each.images for each in done.rounds] == [20, 10]
    (addition,) = recorded["additions"]
    for each in (done, going):  # of one that goes on, the checkpoint tells
        assert (each.rounds[1].iteration, each.rounds[1].trigger) == (addition["iteration"], addition["trigger"])
    assert PracticeConfig().iterations != done.config["iterations"] == done.log[-1]["iteration"] == 20


def test_a_run_of_which_nothing_was_heard_has_stopped(runs, tmp_path):
    shutil.copytree(runs / "going", tmp_path / "run")
    progress = json.loads((tmp_path / "run" / "progress.json").read_text()) | {"written": time.time() - 3600}
    (tmp_path / "run" / "progress.json").write_text(json.dumps(progress))
    assert overview_of(tmp_path / "run").state == "stopped" and "left</b>" not in page(tmp_path / "run")
    for name in ("pool", "csv"):
        shutil.rmtree(tmp_path / "run" / name, ignore_errors=True)
    for name in ("log.jsonl", "checkpoint.safetensors", "progress.json"):
        (tmp_path / "run" / name).unlink()
    assert "0 of 20 iterations" in page(tmp_path / "run")  # as before its first image
    with pytest.raises(UserError, match="no run here"):
        page(tmp_path / "run" / "learners")


def without(name):
    """Change a file of JSON so that it lacks a value; of result.json its checksum goes too."""

    def change(file):
        found = json.loads(file.read_text())
        file.write_text(json.dumps({key: value for key, value in found.items() if key not in (name, "sha256")}))

    return change


def twice(file):
    file.write_text('{"iteration": 3, \n' + file.read_text() + '{"iteration": 25, "tr')


DAMAGE = [
    ("log.jsonl", twice, "line 1 is damaged and left out"),
    ("log.jsonl", lambda file: file.write_text('{"iteration": 5, "train_loss": "x"}\n'), "line 1 is damaged"),
    ("log.jsonl", lambda file: file.write_bytes(b"\xff\xfe\n"), "line 1 is damaged"),
    ("progress.json", lambda file: file.write_text('{"iter'), ""),  # the run writes it anew
    ("progress.json", without("at_least"), ""),
    ("result.json", without("outcomes"), "result.json: damaged (outcomes: missing"),
    ("result.json", lambda file: file.write_text("{"), "result.json: damaged, not JSON"),
    ("checkpoint.safetensors", lambda file: file.write_text("x"), ""),
    ("pool/round-0001/00000.parquet", lambda file: file.unlink(), "00000.parquet: missing"),
]


@pytest.mark.parametrize(("name", "harm", "told"), DAMAGE)
def test_a_damaged_file_is_told_and_the_rest_shown(runs, tmp_path, name, harm, told):
    shutil.copytree(runs / ("done" if name == "result.json" else "going"), tmp_path / "run")
    harm(tmp_path / "run" / name)
    problems = overview_of(tmp_path / "run").problems
    assert [told in each for each in problems] == [True] * bool(told)
    assert "of 20 iterations, " in page(tmp_path / "run")


def test_a_run_that_cannot_be_read_leaves_the_others_on_the_page(runs, tmp_path):
    shutil.copytree(runs / "done", tmp_path / "a & ü")
    for name, text in (("b", '{"config": '), ("c", "\0"), ("generator", '{"format": 1, "generator": {}}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(text)
    shown = page(tmp_path)
    assert "b/settings.json: damaged" in shown and "c/settings.json: damaged" in shown
    assert "20 of 20 iterations" in shown and "generator" not in shown
    with pytest.raises(UserError, match=r"b/settings\.json: damaged"):
        main(["watch", str(tmp_path / "b"), "--port", "0"])


def test_the_page_is_served_and_written(runs, tmp_path, capsys):
    main(["watch", str(runs), "--out", str(tmp_path / "page.html")])
    written = (tmp_path / "page.html").read_text()
    assert "Making the images of round 1: 4 of 10" in written and "over 2 h 1 min left" in written
    assert "2.5 plain images/s" in written and "<script" not in written and written.count("data:image/png") == 4
    server = ThreadingHTTPServer(("localhost", 0), partial(Handler, runs))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    got = []
    for path in ("/", "/../settings.json"):
        connection = http.client.HTTPConnection("localhost", server.server_port)
        connection.request("GET", path)
        got.append(connection.getresponse())
    assert [each.status for each in got] == [200, 404] and "looks again every" in got[0].read().decode()
    with pytest.raises(UserError, match=f"port: {server.server_port}: Address already in use"):
        main(["watch", str(runs), "--port", str(server.server_port)])
    server.shutdown()
    server.server_close()


def test_times_are_told_as_people_tell_them():
    assert [in_words(each) for each in (0, 45.4, 300, 3599, 7260)] == ["0 s", "45 s", "5 min", "60 min", "2 h 1 min"]


def test_the_page_in_a_browser(runs, tmp_path):
    """At the widths of a desk and a telephone, light and dark: it refreshes itself, and nothing is cut off."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here (Debian's package chromium)")
    pytest.importorskip("axe_playwright_python")
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    (tmp_path / "page.html").write_text(page(runs))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((390, "dark"), (1280, "light")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
            opened, heard = context.new_page(), []
            opened.on("console", lambda message, heard=heard: heard.append(message.text))
            opened.on("pageerror", lambda error, heard=heard: heard.append(str(error)))
            opened.goto(f"file://{tmp_path / 'page.html'}")
            assert heard == [] and opened.evaluate("document.documentElement.scrollWidth") <= width
            violations = Axe().run(opened).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in violations] == [], (width, scheme)
        browser.close()
