"""Test what the rehearsal of a cluster stands on; the whole takes minutes: python benchmarks/rehearsal.py."""

import json

from benchmarks.rehearsal import COLOURS, PLACES, SETS, plot, prepare, shares, shrunk, timelines
from dp.cli.practise import settings_in
from dp.practice.schedule import check_schedule


def test_a_row_in_small_has_all_its_additions_and_branches(tmp_path):
    config = shrunk()
    check_schedule(config)
    assert (config.n_initial, config.rounds, config.branch_sizes, config.parts) == (64, 18, (256, 320, 416), 4)
    given = settings_in(prepare(tmp_path))
    assert given["config"] == config and all(getattr(given["ood"], name).is_dir() for name in SETS)


def test_the_functions_that_are_shown_are_there():
    assert all(callable(getattr(owner, name)) and what in COLOURS for what, owner, name in PLACES)


def test_a_schedule_is_read_told_and_drawn(tmp_path):
    lines = [json.dumps(event) for event in (["training", 2.0, 4.0], ["waiting", 4.0, 5.0])]
    (tmp_path / "events-1-0").write_text("\n".join([*lines, '["training", 5.0,']))  # killed while it wrote
    found = timelines(tmp_path, {1: (0.0, 10.0)})
    assert found[1, 0][1:] == [("training", 2.0, 4.0), ("waiting", 4.0, 5.0)]
    assert "start and the rest 70%" in shares(found[1, 0]) and "training 20%" in shares(found[1, 0])
    plot(found, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
