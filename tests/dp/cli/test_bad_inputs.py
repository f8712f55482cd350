"""Every mistake of a user gives one line that names it, and exit code 2; nothing is lost.

Most are made on the command line; tensors of the wrong kind where a program would give them. Of a pool's own files
there are more in pool/test_folder.py and pool/test_shards.py.
"""

import json
import os
import pickle
import shutil
import stat
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from datasets import ClassLabel, Dataset, Features
from datasets import Image as Picture
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from dp.__main__ import main
from dp.config import PracticeConfig
from dp.data.fashion_mnist import CLASSES
from dp.data.image_set import ImageSet
from dp.generation.generator import Generator
from dp.guidance.config import GuidanceConfig
from dp.practice.loop import run_practice
from dp.samples import Samples
from dp.utils.checkpoint import write_tensors
from dp.utils.command_line import run_command
from dp.utils.errors import UserError
from dp.utils.files import write_json, write_record

SIZES = ["--n-initial", "20", "--n-per-round", "10", "--rounds", "1"]
SHORT = [*SIZES, "--iterations", "20", "--validate-every", "10", "--inference-steps", "4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    main(["run", str(folder), *SHORT])
    return folder


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def refused(capsys, arguments: list[str]) -> str:
    """The one line that a command line ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: main(arguments))
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2, lines
    assert sum(line.startswith("error: ") for line in lines) == 1 and lines[-1].startswith("error: "), lines
    assert not any("Traceback" in line for line in lines)
    return lines[-1]


# Ranges of single settings: tests/dp/utils/test_validation.py. Here is what two settings say together.
SETTINGS = [
    ("--lr 0", "lr: got 0.0, expected a number greater than 0"),
    ("--rounds 1000000000", "rounds: got 1000000000, expected a number less than or equal to 10000"),
    ("--n-per-round 0", "n_per_round: got 0 with rounds > 0"),
    ("--warmup 0.9", "warmup, cooldown: got 0.9, 0.2"),
    ("--rounds 4 --iterations 60", "rounds: got 4, but validations every 50 of 60 iterations leave room for 0 between"),
    ("--over-sampling 4", "over_sampling: got 4.0 with omega 0.2"),
    ("--branch-sizes 70", "branch_sizes: got 70, expected sizes that the run reaches"),
    ("--guidance.interval 0.5 0.4", "interval: got (0.5, 0.4)"),
    ("--pipeline somewhere", "pipeline, validation, test: give all three"),
    ("--class-list imagenet100", "pipeline: none given with class_list imagenet100"),
    ("--ood.v2 somewhere", "class_list: got own with imagenet or ood"),
    ("--real", "real: got rounds 10 and signal real"),
    ("--real --rounds 0 --signal agreement", "real: got rounds 0 and signal agreement"),
    ("--real --rounds 0 --pipeline somewhere", "real: got pipeline as well"),
    ("--real --rounds 0 --side 40", "side: got 40 with real images, class_list own"),
    ("--real --rounds 0 --class-list imagenet100 --side 40", "imagenet: none given"),
    ("--row 1/Real --imagenet .", 'row: got "1/Real", expected a row of the paper\'s tables, such as "1/Real 130k"'),
    ("--template dog", 'template: got "dog", expected a text with {}'),
    ("--template {}of{y}", 'template: got "{}of{y}", expected a text with {}'),
    ("--classes cat cat", 'classes: got "cat" twice'),
    ("--lerning-rate 3", "Unrecognized options: --lerning-rate"),
    ("--lr fast", "--lr: could not convert string to float: 'fast'"),
    ("--augment Shift", "invalid choice 'Shift' for argument '--augment'"),
    # What would do nothing.
    ("--max-attempts 5", "max_attempts: got 5, which does nothing with no filter"),
    ("--n-held-out 5", "n_held_out: got 5, which does nothing with signal real"),
    ("--guidance.omega 0 --decoder tiny", 'decoder: got "tiny", which does nothing with omega 0'),
    ("--rounds 0 --patience 5", "patience: got 5, which does nothing with rounds 0"),
    ("--decoder taesd", "decoder: got taesd without a pipeline, expected vae, tiny, linear"),
    ("--pipeline x --validation x --test x --decoder tiny", "decoder: got tiny, which is the repository's own"),
    ("--class-list imagenet100 --classes cat dog", "classes: got 2 with class_list imagenet100"),
    ("--real --rounds 0 --precision float16", "precision: got float16 without a pipeline"),
]


@pytest.mark.parametrize(("words", "message"), SETTINGS)
def test_a_wrong_setting(capsys, tmp_path, words, message):
    assert message in refused(capsys, ["run", str(tmp_path / "run"), *words.split(), "--dry-run"])
    assert not (tmp_path / "run").exists()


FOLDERS = [
    ("--ood.r {tmp}/none", "{tmp}/none: no such folder; expected images in each of "),
    ("--ood.v2 {imagenet}/val", "{imagenet}/val: got the subfolders n01558993, "),  # V2's are numbers
    (
        "--ood.sketch {imagenet}",
        "{imagenet}: got the subfolders train, val; expected images in each of 100 class folders",
    ),
    ("--ood.a {v2}", "{v2}: got the subfolders "),
    ("--imagenet {v2}", "{v2}/val: no such folder"),
    ("--n-initial 201", "n_initial: got 201, but there are 200 real training images"),
]


@pytest.mark.parametrize(("words", "message"), FOLDERS)
def test_folders_are_looked_at_before_anything_is_made(capsys, imagenet, ood, tmp_path, words, message):
    places = {"tmp": tmp_path, "imagenet": imagenet, "v2": ood["v2"]}
    real = f"--real --class-list imagenet100 --side 24 --rounds 0 --n-initial 200 --imagenet {imagenet}"
    arguments = ["run", str(tmp_path / "run"), *real.split(), *words.format(**places).split()]
    assert message.format(**places) in refused(capsys, arguments)
    assert not (tmp_path / "run").exists()


def test_test_images_of_other_classes(capsys, tiny_pipe, tmp_path):
    tiny_pipe.save_pretrained(tmp_path / "pipeline")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    own = f"--pipeline {tmp_path}/pipeline --validation {tmp_path} --test {tmp_path}/test --classes cat dog"
    found = refused(capsys, ["run", str(tmp_path / "run"), *own.split()])
    assert f"{tmp_path}/test: got the subfolders cat, expected one per class: cat, dog" in found
    features = Features(image=Picture(), label=ClassLabel(names=["cat", "bird"]))
    saved = Dataset.from_dict({"image": [Image.new("RGB", (8, 8))], "label": [0]}, features)
    shutil.rmtree(tmp_path / "test")
    saved.save_to_disk(str(tmp_path / "test"))
    found = refused(capsys, ["run", str(tmp_path / "run"), *own.split()])
    assert f"{tmp_path}/test: got the classes cat, bird, expected cat, dog" in found
    assert not (tmp_path / "run").exists()


def test_sets_that_do_not_fit_a_run(capsys, run, imagenet):
    assert "has other classes" in refused(capsys, ["evaluate", str(run), "--imagenet", str(imagenet)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "0.5"], "lr: got 0.5 with row 4/DP 64k + 18 x 32k, which has "),
        (["--guidance.omega", "0.7"], "omega: got 0.7 with row "),
        (["--class-list", "imagenet1k"], "class_list: got imagenet1k with row "),
    ],
)
def test_a_setting_beside_a_row_that_says_otherwise(capsys, tmp_path, words, message):
    row = ["--row", "4/DP 64k + 18 x 32k", "--imagenet", str(tmp_path), "--dry-run"]
    assert message in refused(capsys, ["run", str(tmp_path / "run"), *row, *words])


def test_real_images_are_not_generated(capsys, tmp_path):
    assert "real: got real images" in refused(capsys, ["generate", str(tmp_path / "pool"), "--real"])
    assert not (tmp_path / "pool").exists()


LEARNERS = [
    (
        "--learner test_efficientnet --batch-size 1",
        "batch_size, micro_batch: got 1 image at a time, which the learner ",
    ),
    (
        "--inference-steps 2 --guidance.interval 0 0.4",
        "interval: none of the 2 steps is at a noise level in (0.0, 0.4)",
    ),
    ("--learner vit_hugest", 'learner: "vit_hugest" is no architecture of timm'),
    ("--learner test_vit", "patches of 16 pixels, which do not tile 28; expected a divisor, such as test_vit?patch_"),
    ("--learner test_vit?patch_size=x", 'learner: got "test_vit?patch_size=x", expected numbers'),
    ("--learner test_vit?depths=3", "but timm says: "),
    ("--learner hf:nowhere", "learner: nowhere holds no saved transformers classifier"),
    ("--crop 40", "crop: got 40, expected at most the images' 32 pixels"),
]


@pytest.mark.parametrize(("words", "message"), LEARNERS)
def test_a_learner_that_cannot_be(capsys, tmp_path, words, message):
    assert message in refused(capsys, ["run", str(tmp_path / "run"), *SHORT, *words.split()])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edit(path: Path, **changes: object) -> None:
    """Write what another version would, with a checksum that fits if there is one."""
    found = json.loads(path.read_text())
    write = write_record if found.pop("sha256", None) else write_json
    write(path, found | changes)


def renumber(path: Path) -> None:
    """The checkpoint of a newer version."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        progress = json.loads(file.metadata()["progress"])
    write_tensors(path, tensors, progress | {"format": 99})


class Trap:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def trap(path: Path) -> None:
    path.write_bytes(pickle.dumps(Trap(path.parent / "mark")))


def other_model(path: Path) -> None:
    save_file({"learner/0.weight": torch.zeros(3)}, path, {"progress": "{}"})


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = [
    ("settings.json", lambda p: p.write_text("{"), "settings.json: damaged"),
    ("settings.json", lambda p: p.write_text("[]"), "settings.json: damaged"),
    ("settings.json", lambda p: edit(p, format=99), "settings.json: format 99, this version reads 1"),
    ("checkpoint.safetensors", truncate, "checkpoint.safetensors: damaged, or of another configuration"),
    ("checkpoint.safetensors", trap, "got a Python pickle, which is not opened since it can run any code"),
    ("checkpoint.safetensors", other_model, "checkpoint.safetensors: damaged, or of another configuration"),
    ("checkpoint.safetensors", flip, "checkpoint.safetensors: damaged, or of another configuration (its checksum"),
    (
        "settings.json",
        lambda p: p.write_text(p.read_text().replace("0.05", "0.06")),
        "settings.json: damaged (it is no",
    ),
    ("settings.json", lambda p: p.write_text("[" * 100_000), "settings.json: damaged (nested too deeply)"),
    ("checkpoint.safetensors", renumber, "checkpoint.safetensors: format 99, this version reads 1"),
    ("pool/manifest.json", truncate, "manifest.json"),
    ("pool/manifest.json", lambda p: edit(p, version=99), "manifest.json"),
    ("pool/round-0001/00000.parquet", flip, "round-0001/00000.parquet: damaged"),
    ("pool/round-0001/00000.parquet", trap, "which is not opened since it can run any code"),
    ("pool/round-0000/00000.parquet", Path.unlink, "round-0000/00000.parquet: missing"),
]


@pytest.mark.parametrize(("name", "harm", "message"), DAMAGE)
def test_a_damaged_file_of_a_run(capsys, run, name, harm, message):
    (run / "result.json").unlink()  # so that the run has to go on
    harm(run / name)
    before = content(run)
    assert message in refused(capsys, ["run", str(run), *SHORT])
    assert content(run) == before and not list(run.rglob("mark"))


@pytest.mark.parametrize("command", ["evaluate {}", "grid {}", "pool repair {}/pool"])
def test_a_setting_of_another_version_is_told_with_its_file(capsys, run, command):
    source = json.loads((run / "settings.json").read_text())["source"]
    edit(run / "settings.json", source=source | {"colour": "red"})
    assert f"{run / 'settings.json'}: colour: unknown" in refused(capsys, command.format(run).split())


@pytest.mark.parametrize("harm", [truncate, lambda p: p.write_text("[]"), lambda p: p.write_text("{}")])
def test_a_damaged_result_is_made_again_from_the_last_checkpoint(capsys, finished, run, harm):
    harm(run / "result.json")
    assert "result.json: damaged" in refused(capsys, ["run", str(run), *SHORT])
    (run / "result.json").unlink()
    main(["run", str(run), *SHORT])
    outcomes = [json.loads((folder / "result.json").read_text())["outcomes"] for folder in (finished, run)]
    assert outcomes[0] == outcomes[1]


def test_a_flipped_bit_is_reported_and_repaired(capsys, finished, run):
    flip(run / "pool" / "round-0001" / "00000.parquet")
    assert "1 problems" in refused(capsys, ["pool", "check", str(run / "pool")])
    main(["pool", "repair", str(run / "pool")])
    name = "pool/round-0001/00000.parquet"
    assert (run / name).read_bytes() == (finished / name).read_bytes()
    main(["pool", "check", str(run / "pool")])


def test_a_learner_without_which_nothing_can_be_repaired(capsys, run):
    flip(run / "pool" / "round-0001" / "00000.parquet")
    trap(run / "learners" / "round-0001.safetensors")
    before = content(run)
    assert "got a Python pickle" in refused(capsys, ["pool", "repair", str(run / "pool")])
    (run / "learners" / "round-0001.safetensors").unlink()
    assert "missing; without the learner that guided round 1" in refused(capsys, ["pool", "repair", str(run / "pool")])
    assert not list(run.rglob("mark")) and {k: v for k, v in before.items() if "learners" not in k} == content(run)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"])
def test_a_pipeline_with_a_pickle_for_weights(capsys, tiny_pipe, tmp_path, name):
    tiny_pipe.save_pretrained(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    trap(tmp_path / "pipeline" / "unet" / name)
    words = ["generate", str(tmp_path / "pool"), "--pipeline", str(tmp_path / "pipeline"), "--classes", *CLASSES]
    assert "pickles, which are not opened since they can run any code" in refused(capsys, words)
    assert not list(tmp_path.rglob("mark"))


def unknown_class(folder: Path) -> None:
    edit(folder / "model_index.json", _class_name="NoSuchPipeline")


DAMAGED_PIPELINES = [
    (lambda p: (p / "model_index.json").write_text("{"), "model_index.json' is not a valid JSON file"),
    (lambda p: (p / "model_index.json").write_text("[]"), "cannot be loaded"),
    (lambda p: (p / "model_index.json").write_text("{}"), "_class_name"),
    (unknown_class, "diffusers has no attribute NoSuchPipeline"),
    (lambda p: truncate(p / "text_encoder" / "model.safetensors"), "cannot be loaded ("),
    (lambda p: truncate(p / "unet" / "diffusion_pytorch_model.safetensors"), "diffusion_pytorch_model.safetensors'"),
    (lambda p: edit(p / "unet" / "config.json", cross_attention_dim=32), "loading state_dict for UNet2DConditionModel"),
]


@pytest.mark.parametrize(("harm", "message"), DAMAGED_PIPELINES)
def test_a_damaged_pipeline(capsys, stable_diffusion, tmp_path, harm, message):
    stable_diffusion.save_pretrained(tmp_path / "pipeline")
    harm(tmp_path / "pipeline")
    words = ["generate", str(tmp_path / "pool"), "--pipeline", str(tmp_path / "pipeline"), "--classes", *CLASSES]
    line = refused(capsys, words)
    assert message in line and f"pipeline: {tmp_path}/pipeline: cannot be loaded" in line
    assert not (tmp_path / "pool").exists()


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (32, 32)).save(path)


def tree(folder: Path) -> Path:
    for name in CLASSES:
        picture(folder / name / "1.png")
    return folder


COMMANDS = [
    ("run {tmp}/file", "{tmp}/file"),
    ("run {tmp}/full", "full: not a folder of this run and not empty"),
    ("run {run} --n-initial 30", "config.n_initial: 20 there, 30 asked for; "),
    ("run {run} --n-initial 30 --dry-run", "config.n_initial: 20 there, 30 asked for; "),
    ("run {tmp}/full --dry-run", "full: not a folder of this run and not empty"),
    ("run {tmp}/file --dry-run", "file: a file, expected a new or an empty folder"),
    ("evaluate {tmp}/nowhere", "nowhere: no run here"),
    ("grid {tmp}/nowhere", "nowhere: no run here"),
    ("evaluate {run} --images {tmp}/full", "full: got the subfolders some, expected one"),
    ("evaluate {run} --images {tmp}/empty-class", "empty-class"),
    ("evaluate {run} --images {tmp}/text", "text"),
    ("generate {tmp}/pool --omega 0.3", "guided_by: none given with omega 0.3"),
    ("generate {tmp}/pool --count 0", "count: got 0"),
    ("generate {tmp}/pool --guided-by {tmp}/nowhere", "nowhere: no run here"),
    ("generate {tmp}/pool --pipeline {tmp}/diffusers", "classes: got 0 with a pipeline of your own"),
    ("generate {tmp}/pool --guided-by {other}", "other has the classes c0, c1, "),
    ("generate {tmp}/pool --guided-by {narrow} --omega 0.3 --steps 2", "interval: none of the 2 steps is at"),
    ("prune {run}/pool {tmp}/out --guided-by {other} --keep 10", "other has the classes c0, c1, "),
    ("prune {run}/pool {tmp}/out --guided-by {run} --keep 31", "keep: got 31, expected at most 30"),
    ("pool show {tmp}/full", "full"),
    ("pool export {run}/pool --out {tmp}/full", "full"),
    ("pool show {run}/pool --out {tmp}/new", "action: got show with settings of another"),
    ("pool repair {tmp}/nowhere", "no run here"),
    ("pool repair {other}/pool/round-0000", "round-0000: got no pool, no run here that could make its images again"),
    ("pool repair {generated}", "generated: got a pool that no run made, "),
    ("watch {run} --out .", ".: got a folder without a name, expected the name of what is to be written"),
    ("pool repair {python}/pool", "settings.json: got no source, imagenet, expected what `dp run` writes"),
    ("grid {python}", "settings.json: got no source, expected what `dp run` writes"),
    ("train-generator {tmp}/new --data {tmp}/full", "expected train-images-idx3-ubyte"),
    ("train-generator {tmp}/new --images {tmp}/nowhere", "nowhere: got the subfolders none"),
    ("train-generator {tmp}/new --images {tmp}/full --side 33", "side: got 33"),
]


@pytest.mark.parametrize(("words", "message"), COMMANDS)
def test_a_wrong_command(capsys, run, tmp_path, words, message):
    (tmp_path / "file").write_text("text")
    picture(tmp_path / "full" / "some" / "1.png")
    tree(tmp_path / "empty-class")
    (tmp_path / "empty-class" / CLASSES[3] / "1.png").unlink()
    tree(tmp_path / "text")
    (tmp_path / "text" / CLASSES[3] / "1.png").write_text("no picture")
    (tmp_path / "diffusers").mkdir()
    (tmp_path / "diffusers" / "model_index.json").write_text("{}")
    python = shutil.copytree(run, tmp_path / "python")  # as a program makes it: docs/method.md
    settings = json.loads((python / "settings.json").read_text())
    (python / "settings.json").write_text(json.dumps({name: settings[name] for name in ("format", "config")}))
    other = shutil.copytree(run, tmp_path / "other")
    edit(other / "pool" / "manifest.json", classes=[f"c{i}" for i in range(10)])
    narrow = shutil.copytree(run, tmp_path / "narrow")
    edit(narrow / "settings.json", config=settings["config"] | {"guidance": asdict(GuidanceConfig())})
    generated = shutil.copytree(run / "pool", tmp_path / "generated")
    before, paths = content(tmp_path), {*tmp_path.rglob("*")}
    names = {"tmp": tmp_path, "run": run, "python": python, "other": other, "narrow": narrow, "generated": generated}
    line = refused(capsys, words.format(**names).split())
    assert message.format(**names) in line, line
    assert before == content(tmp_path) and {*tmp_path.rglob("*")} == paths  # so that the right command is not refused


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "seteuid"), reason="the superuser may write anywhere")
def test_a_read_only_folder(capsys, tmp_path):
    """As a user without rights there: the superuser's processes give theirs up for this test."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IROTH | stat.S_IXOTH)
    for parent in (tmp_path, *list(tmp_path.parents)[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        told = refused(capsys, ["run", str(tmp_path / "locked"), *SHORT])
        assert f"{tmp_path}/locked" in told and "Permission denied" in told
    finally:
        if root:
            os.seteuid(0)
    assert list((tmp_path / "locked").iterdir()) == []


def test_a_full_disk(capsys, monkeypatch, run):
    """What is there stays as it is, and the same command goes on when there is room."""
    from dp.utils import files

    before = content(run)
    (run / "result.json").unlink()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device", "result.json")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        assert "No space left on device" in refused(capsys, ["run", str(run), *SHORT])
    assert {k: v for k, v in before.items() if not k.endswith("result.json")} == content(run)
    main(["run", str(run), *SHORT])
    outcomes = [
        json.loads(each)["outcomes"]
        for each in (before[str(run / "result.json")], content(run)[str(run / "result.json")])
    ]
    assert outcomes[0] == outcomes[1]


CONFIG = PracticeConfig(
    n_initial=20, n_per_round=10, rounds=1, iterations=20, validate_every=5, batch_size=8, inference_steps=4
)


class Constant(torch.nn.Module):
    """Logits of a given shape and value for any image."""

    def __init__(self, classes: int, value: float):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.full((classes,), value))

    def forward(self, images):
        return self.bias.expand(len(images), -1)


def real(images: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> ImageSet:
    images = torch.zeros(20, 1, 32, 32, dtype=torch.uint8) if images is None else images
    return ImageSet(images, torch.arange(len(images)) % 10 if labels is None else labels)


def given(images: torch.Tensor | None = None, **changes: torch.Tensor) -> Samples:
    n = 20
    zeros, nothing = torch.zeros(n, dtype=torch.int64), torch.full((n,), torch.nan)
    unknown = torch.full((n,), -1, dtype=torch.int8)
    images = torch.zeros(n, 1, 32, 32, dtype=torch.uint8) if images is None else images
    columns = {
        "images": images, "labels": torch.arange(n) % 10, "seeds": torch.arange(n), "rounds": zeros,
        "omega": zeros.float(), "entropy_before": nothing, "entropy": nothing, "correct": unknown, "zero_steps": zeros,
    }  # fmt: skip
    return Samples(**columns | changes)


TENSORS = [
    ({"net": Constant(10, float("nan"))}, "learner: nan or infinite logits for 2 of 2 images"),
    ({"net": Constant(1, 0.0)}, r"learner: gave \[2, 1\] for 2 images"),
    ({"net": Constant(7, 0.0)}, r"learner: gave \[2, 7\] logits, but the generator makes 10 classes"),
    ({"net": torch.nn.Sequential(torch.nn.Conv2d(3, 10, 28), torch.nn.Flatten())}, "learner: cannot classify images"),
    ({"initial": given(torch.zeros(20, 1, 32, 32))}, "initial: images: got torch.float32"),
    (
        {"initial": given(torch.zeros(20, 32, 32, dtype=torch.uint8))},
        r"initial: images: got torch.uint8 \[20, 32, 32\]",
    ),
    ({"initial": given(labels=torch.arange(20))}, r"initial: labels: got 0 \.\. 19, expected classes in 0 \.\. 9"),
    ({"initial": given(labels=torch.arange(20).float())}, "initial: labels: got torch.float32"),
    ({"validation": real(torch.zeros(0, 1, 32, 32, dtype=torch.uint8))}, "validation: got no images"),
    ({"validation": real(labels=torch.arange(20))}, r"validation: labels: got 0 \.\. 19"),
    ({"validation": real(torch.zeros(20, 1, 32, 32))}, "validation: images: got torch.float32"),
    (
        {"validation": real(torch.zeros(20, 3, 32, 32, dtype=torch.uint8))},
        r"validation: images: got \[3, 32, 32\], expected \[1, 32, 32\] as the generator's; resize",
    ),
    ({"test": lambda: real(torch.zeros(0, 1, 32, 32, dtype=torch.uint8))}, "test: got no images"),
    ({"test": lambda: real(torch.zeros(20, 1, 40, 40, dtype=torch.uint8))}, r"test: images: got \[1, 40, 40\], expe"),
    # Arguments of another kind.
    (
        {"test": real()},
        r"test: got ImageSet\(20 images .*, expected a function that returns images; give test_images, ",
    ),
    ({"validation": real}, "validation: got <function real .*, expected labelled images; give validation_images"),
    ({"config": {"lr": 0.1}}, "config: got {'lr': 0.1}, expected a PracticeConfig"),
    ({"net": "resnet18"}, 'net: got "resnet18", expected a module'),
    ({"net": torch.nn.Flatten()}, "net: Flatten has no parameters to train"),
]


@pytest.mark.parametrize(("changes", "message"), TENSORS)
def test_a_wrong_tensor(tiny_pipe, changes, message):
    generator = Generator(tiny_pipe, 1.5, 4, batch_size=16)
    arguments = {"config": CONFIG, "generator": generator, "validation": real(), "test": real} | changes
    with pytest.raises(UserError, match=message):
        run_practice(**arguments)


def test_a_pipeline_is_no_generator(tiny_pipe):
    with pytest.raises(UserError, match=r"generator: got LatentClassPipeline, .*: Generator\(pipe, \.\.\.\)"):
        run_practice(CONFIG, tiny_pipe, real(), real)
