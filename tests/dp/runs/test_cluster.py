"""The paper's setting in small: a text-to-image pipeline from a folder, an ImageNet tree, a ViT, several processes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from dp.__main__ import main
from dp.cli import practise as run_command
from dp.config import PracticeConfig
from dp.data.imagenet import class_list, folders_of
from dp.generation.generator import Generator
from dp.generation.loading import load_pipeline
from dp.guidance.guidance import GuidanceConfig
from dp.paper.row import key
from dp.paper.rows import ROWS
from dp.pool.folder import PoolFolder
from dp.runs.inputs import Source
from dp.utils.errors import UserError
from paper_figures.cluster import grid as cluster_grid
from paper_figures.cluster import runs as cluster_runs
from paper_figures.drawing.pictures import decode
from tests.dp.forked import together

SETTINGS = (
    "--class-list imagenet100 --learner vit_tiny_patch16_224 --crop 32 --side 40 --augment resized_crop --mixup 0.5 "
    "--cutmix 1.0 --n-initial 100 --n-per-round 50 --rounds 1 --iterations 12 --validate-every 3 --patience 1 "
    "--batch-size 32 --micro-batch 8 --inference-steps 2 --guidance.omega 0.3 --guidance.interval 0 1 "
    "--storage.no-memory --storage.encoding JPEG --generation-batch 50 --branch-sizes 100 --precision bfloat16"
).split()


@pytest.fixture
def pipeline(stable_diffusion, tmp_path) -> Path:
    stable_diffusion.save_pretrained(tmp_path / "pipeline")
    return tmp_path / "pipeline"


@pytest.fixture
def tiny_decoder(tmp_path) -> Path:
    """From latents [B, 4, h, w] to images [B, 3, 2h, 2w], as the pipeline's own."""
    channels, blocks = (8, 8), (1, 1)
    tiny = AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks,
    )
    tiny.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def launch(processes: int, *arguments: str) -> subprocess.CompletedProcess:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run([sys.executable, *torchrun, "-m", "dp", *arguments], capture_output=True, text=True)


@pytest.mark.slow
def test_one_process_and_two_leave_the_same_run(pipeline, tiny_decoder, imagenet, ood, tmp_path, capsys):
    sets = ["--ood.v2", str(ood["v2"]), "--ood.r", str(ood["r"])]
    runs = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        made_by = ["--pipeline", str(pipeline), "--decoder", str(tiny_decoder)]
        run = ["run", str(folder), *made_by, "--imagenet", str(imagenet), *sets, *SETTINGS]
        if processes == 1:
            main(run)
        else:
            together(processes, tmp_path / "run", *run)
        result = json.loads((folder / "result.json").read_text())
        shards = {path.name: path.read_bytes() for path in sorted((folder / "pool").rglob("*.parquet"))}
        checkpoint = (folder / "checkpoint.safetensors").read_bytes()
        runs[processes] = result["outcomes"], result["additions"], shards, checkpoint
        assert result["made_by"]["processes"] == processes
    assert runs[1] == runs[2]
    pool = PoolFolder.open(tmp_path / "2" / "pool")
    assert pool.layout.image_shape == (3, 40, 40) and pool.layout.encoding == "JPEG" and pool.rounds == [100, 50]
    assert pool.layout.classes == class_list("imagenet100").wnids
    added = pool.read_round(1, images=False)
    assert added.entropy.isfinite().all() and (added.omega == 0.3).all()

    capsys.readouterr()
    main(["evaluate", str(tmp_path / "1"), "--imagenet", str(imagenet), *sets])
    alone = json.loads(capsys.readouterr().out)["outcomes"]
    shared = together(2, tmp_path / "evaluate", "evaluate", str(tmp_path / "2"), "--imagenet", str(imagenet), *sets)
    assert json.loads(shared)["outcomes"] == alone
    for outcome, found in zip(runs[1][0], alone, strict=True):
        assert (outcome["pool_size"], 12) == (found["pool_size"], found["iteration"])
        assert outcome["test_accuracy"] == found["sets"]["train"]["accuracy"]
        assert outcome["validation_accuracy"] == found["sets"]["val"]["accuracy"]
        assert outcome["ood"] == {name: found["sets"][name] for name in ("v2", "r")}
    counts = {name: each["images"] for name, each in found["sets"].items()}
    assert counts == {"val": 200, "train": 200, "v2": 100, "r": len(folders_of("r", "imagenet100"))}


def test_one_process_tells_a_mistake_for_all(tmp_path):
    """That of the folder, which the first one alone looks at."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = launch(2, "run", str(tmp_path / "full"), *"--n-initial 20 --rounds 0 --micro-batch 32".split())
    told = [line for line in done.stderr.splitlines() if "error: " in line and "torch/distributed" not in line]
    assert done.returncode == 1 and len(told) == 1, done.stderr
    assert "full: not a folder of this run and not empty" in told[0]
    assert "[rank" not in done.stderr and "in run_command" not in done.stderr  # no traceback but torchrun's own
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_a_tiny_decoder_from_a_folder_guides_in_the_vaes_stead(pipeline, tiny_decoder):
    def learner(images):
        return images.flatten(1)[:, :100] * 9

    def guided(decoder: str) -> torch.Tensor:
        source = Source(pipeline=str(pipeline), classes=("cat", "dog"), precision="bfloat16")
        config = PracticeConfig(n_initial=2, n_per_round=2, rounds=1, inference_steps=3, decoder=decoder)
        generator = source.generator(config)
        return generator.generate(torch.arange(2), [1, 2], learner, GuidanceConfig(0.3, interval=(0.0, 1.0))).images

    assert not torch.equal(guided(str(tiny_decoder)), guided("vae"))


def test_a_guided_image_is_harder_for_the_learner_that_sees_it_small(stable_diffusion, tmp_path):
    """The learner sees images at `side`, in guidance as in training."""
    torch.manual_seed(0)
    learner = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    )
    with torch.no_grad():
        learner[-1].weight *= 8
    generator = Generator(stable_diffusion, 2.0, 4, 32, ("cat", "dog"), side=15)
    labels, seeds = torch.arange(64) % 2, list(range(64))
    plain = generator.generate(labels, seeds, learner, GuidanceConfig(omega=0.0))
    guided = generator.generate(labels, seeds, learner, GuidanceConfig(omega=0.3, interval=(0.0, 1.0)))
    assert plain.images.shape == (64, 3, 15, 15)
    gain = guided.entropy - plain.entropy
    assert gain.mean() > 3 * gain.std() / 8
    whole = Generator(stable_diffusion, 2.0, 4, 32, ("cat", "dog")).generate(labels, seeds)
    small = torch.nn.functional.interpolate(whole.images.float(), (15, 15), mode="bicubic", antialias=True)
    assert (small.clamp(0, 255) - plain.images.float()).abs().max() < 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run {tmp}/run --pipeline no/such --class-list imagenet100 --imagenet {imagenet}", "no/such is no folder"),
        ("run {tmp}/run --row 4/statik", 'row: got "4/statik", expected a row .* "4/static'),
        ("run {tmp}/run --row 4/DP", "row: got"),
        ("run {tmp}/run --micro-batch 24", "micro_batch: got 24 for a batch_size of 64"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(arguments, message, imagenet, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message) as caught:
        main(arguments.format(tmp=tmp_path, imagenet=imagenet).split())
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_rows_of_the_paper_give_all_settings(capsys, tmp_path):
    main(["run", str(tmp_path / "run"), "--row", "4/static 130k", "--imagenet", str(tmp_path), "--dry-run"])
    text = capsys.readouterr().out
    settings = json.loads(text[: text.rindex("}") + 1])
    config, source = settings["config"], settings["source"]
    assert (config["n_initial"], config["iterations"], config["batch_size"]) == (130_000, 50_000, 2048)
    assert (config["mixup"], config["cutmix"], config["label_smoothing"], config["lr"]) == (0.5, 1.0, 0.11, 0.003)
    assert source["class_list"] == "imagenet100" and source["pipeline"].endswith("stable-diffusion-v1-5")
    assert not (tmp_path / "run").exists()


def test_a_pipeline_with_a_safety_checker_is_loaded_without(pipeline):
    assert load_pipeline(pipeline).safety_checker is None


def test_a_finished_run_of_a_row_is_found_by_the_figures(pipeline, imagenet, ood, tmp_path, monkeypatch):
    """A row of the paper with a tiny configuration, run by its command, read as the figures do."""
    row = next(row for row in ROWS if key(row) == "4/DP 64k + 18 x 32k")
    config = PracticeConfig(
        n_initial=100, n_per_round=100, rounds=1, inference_steps=2, learner="vit_tiny_patch16_224", crop=32,
        iterations=4, validate_every=1, batch_size=8, warmup=0.0, guidance=GuidanceConfig(0.3, (0.0, 1.0)),
    )  # fmt: skip
    tiny = (replace(row, config=config, images=200),)
    for module in (run_command, cluster_runs):
        monkeypatch.setattr(module, "ROWS", tiny)
    folder = tmp_path / "runs" / "first"
    given = {"--row": key(row), "--pipeline": pipeline, "--imagenet": imagenet, "--side": 32, "--seed": 3}
    given["--ood.r"] = ood["r"]
    main(["run", str(folder), *(str(word) for each in given.items() for word in each)])
    (outcome,) = json.loads((folder / "result.json").read_text())["outcomes"]
    (found,) = cluster_runs.read(tmp_path / "runs").measured
    assert (found.row, found.seed, found.images, found.folder) == (tiny[0], 3, outcome["pool_size"], "first")
    assert found.accuracies.real_val == outcome["validation_accuracy"]
    assert found.accuracies.real_train == outcome["test_accuracy"]
    assert found.accuracies.in_r == outcome["ood"]["r"]["accuracy"] and found.accuracies.in_v2 is None
    assert found.not_as_row == "generator pipeline, kept at 32 pixels"
    main(["grid", str(folder), "--omegas", "0", "0.3", "--classes", "5", "7", "--per-class", "2", "--judged", "60"])
    exhibit = cluster_grid.make(cluster_runs.read(tmp_path / "runs"))
    assert exhibit is not None and "Run first." in exhibit.caption
    grid = json.loads((folder / "grid.json").read_text())
    for axis, label in zip(exhibit.figure.axes[:2], (5, 7), strict=True):
        assert axis.get_title() == class_list("imagenet100").wnids[label]
        shown = axis.images[0].get_array()
        first = next(each for each in grid["guided"] if each["label"] == label and each["omega"] == 0.3)
        side = cluster_grid.SIDE
        np.testing.assert_array_equal(shown[:side, side + 2 : 2 * side + 2], decode(first["png"], side))
    assert len(grid["intermediate"]) == 2 * 2 * 2 and len(grid["hardness"]["iterations"]) == 1
    (folder / "grid.json").write_text("{}")
    assert "grid.json: not what dp grid writes" in cluster_grid.make(cluster_runs.read(tmp_path / "runs")).why
