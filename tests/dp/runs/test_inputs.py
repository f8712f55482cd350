"""The inputs of a run: classes whose folders and prompts are called otherwise."""

import json

import pytest

from dp.config import PracticeConfig
from dp.runs.inputs import Source
from dp.utils.errors import UserError


def test_a_class_and_its_prompt_may_be_called_otherwise(stable_diffusion, tmp_path):
    stable_diffusion.save_pretrained(tmp_path / "pipeline")
    pipeline, file = str(tmp_path / "pipeline"), tmp_path / "prompts.json"
    file.write_text(json.dumps({"n01": "a cat", "n02": "a dog"}))
    source = Source(pipeline=pipeline, prompts=str(file), template="photo of {}")
    generator = source.generator(PracticeConfig(rounds=0))
    assert source.names() == ("n01", "n02") and list(generator.classes) == ["a cat", "a dog"]
    turned = Source(pipeline=pipeline, prompts=str(file), classes=("n02", "n01"))
    assert turned.names() == ("n02", "n01") and list(turned.generator(PracticeConfig(rounds=0)).classes) == [
        "a dog",
        "a cat",
    ]
    with pytest.raises(UserError, match=r"prompts.json: got prompts of n01, n02, expected n01, n03"):
        Source(pipeline=pipeline, prompts=str(file), classes=("n01", "n03")).names()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"a": ""}'])
def test_a_file_of_prompts_that_holds_something_else_is_named(text, tmp_path):
    (tmp_path / "prompts.json").write_text(text)
    with pytest.raises(UserError, match=r"prompts\.json: .*expected .*a prompt for each class"):
        Source(pipeline="somewhere", prompts=str(tmp_path / "prompts.json")).names()


def test_a_pipelines_own_classes_are_named_in_its_order(tiny_pipe, tmp_path):
    tiny_pipe.save_pretrained(tmp_path)
    index, names = tmp_path / "model_index.json", [f"kind {i}" for i in range(10)]
    index.write_text(json.dumps(json.loads(index.read_text()) | {"id2label": dict(enumerate(names))}))
    for given in ([], names, [f"sort {i}" for i in range(10)]):
        Source(pipeline=str(tmp_path), classes=tuple(given)).generator(PracticeConfig(rounds=0))
    with pytest.raises(UserError, match=r"classes: got kind 9, .*, but the pipeline has them as kind 0, kind 1"):
        Source(pipeline=str(tmp_path), classes=tuple(names[::-1])).generator(PracticeConfig(rounds=0))


def test_prompts_are_for_a_pipeline_that_takes_them(tiny_pipe, tmp_path):
    tiny_pipe.save_pretrained(tmp_path / "pipeline")
    (tmp_path / "prompts.json").write_text(json.dumps({str(i): f"kind {i}" for i in range(10)}))
    source = Source(pipeline=str(tmp_path / "pipeline"), prompts=str(tmp_path / "prompts.json"))
    with pytest.raises(UserError, match="takes numbers of classes"):
        source.generator(PracticeConfig(rounds=0))
    with pytest.raises(UserError, match=r"prompts: got .* without a pipeline"):
        Source(prompts="prompts.json").generator(PracticeConfig(rounds=0))
