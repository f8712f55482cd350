"""Saved classifiers and architectures that cannot be had: one line, no question, nothing run, nothing made up."""

import json

import pytest
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification

from dp.learner.models import build_learner
from dp.utils.errors import UserError


@pytest.fixture
def saved(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vit = ViTForImageClassification(ViTConfig(image_size=28, patch_size=7, num_channels=1, num_labels=10, **sizes))
    vit.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def custom_code(folder):
    """The folder's own class, whose file leaves a mark where it is imported."""
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "mine.Config", "AutoModelForImageClassification": "mine.Model"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": names, "model_type": "mine"}))
    (folder / "mine.py").write_text(f"open({str(folder / 'mark')!r}, 'w')")


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


DAMAGE = [
    (custom_code, "cannot be loaded"),
    (lambda folder: (folder / "model.safetensors").unlink(), "cannot be loaded"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"garbage"), "cannot be loaded"),
    (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
    (lambda folder: (folder / "config.json").write_text("[]"), "cannot be loaded"),
    (lambda folder: (folder / "config.json").write_text("{}"), "cannot be loaded"),
    (without_a_weight, "1 weights are missing, classifier.weight among them"),
]


@pytest.mark.parametrize(("harm", "message"), DAMAGE)
def test_a_saved_classifier_that_cannot_be_had(saved, monkeypatch, harm, message):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    harm(saved)
    with pytest.raises(UserError, match=message) as error:
        build_learner(f"hf:{saved}", 10)
    assert "\n" not in str(error.value) and str(saved) in str(error.value) and not (saved / "mark").exists()


def test_a_saved_classifier_of_other_classes(saved):
    with pytest.raises(UserError, match="has 10 classes, the generator 3"):
        build_learner(f"hf:{saved}", 3)


@pytest.mark.parametrize("numbers", ["patch_size=0", "depth=1000000000000", "patch_size=-1", "embed_dim=7", "x"])
def test_numbers_that_an_architecture_cannot_take(numbers):
    with pytest.raises(UserError, match=r"^learner: ") as error:
        build_learner(f"test_vit?{numbers}", 10, size=28)
    assert "\n" not in str(error.value)
