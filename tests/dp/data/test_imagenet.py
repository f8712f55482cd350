"""ImageNet's classes, those of its other sets, and how they are judged."""

import sys
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from dp.data import imagenet
from dp.data.imagenet import class_list, folders_of
from dp.utils.errors import UserError


def test_imagenet_1k_is_timms_list_in_sorted_order():
    classes, info = class_list("imagenet1k"), ImageNetInfo("imagenet-1k")
    assert len(classes) == 1000
    assert [info.index_to_label_name(label) for label in range(1000)] == list(classes.wnids) == sorted(classes.wnids)
    assert classes.prompts[0] == "tench" and classes.prompts[2] == "great white shark"
    assert all(name and "," not in name for name in classes.prompts)
    assert 1000 - len(set(classes.prompts)) == 2  # crane and maillot, as the docstring says


def test_imagenet_100_is_100_distinct_classes_of_imagenet_1k():
    listed = [line for line in imagenet.IMAGENET_100.read_text().splitlines() if not line.startswith("#")]
    assert len(listed) == len(set(listed)) == 100
    assert set(listed) < set(class_list("imagenet1k").wnids)
    assert (listed[0], listed[-1]) == ("n02869837", "n02090622")
    classes = class_list("imagenet100")
    assert list(classes.wnids) == sorted(listed)
    assert len(set(classes.prompts)) == 100
    assert classes.prompts[classes.wnids.index("n02869837")] == "bonnet"


def test_an_unknown_class_list_or_set_is_named():
    with pytest.raises(UserError, match="classes: got 'imagenet10', expected imagenet100 or imagenet1k"):
        class_list("imagenet10")
    with pytest.raises(UserError, match="set: got 'c', expected one of train, val"):
        folders_of("c", "imagenet1k")


@pytest.mark.parametrize("name", ["r", "a"])
def test_r_and_a_have_200_classes(name):
    folders = folders_of(name, "imagenet1k")
    wnids = class_list("imagenet1k").wnids
    assert len(folders) == 200 and all(wnids[label] == folder for label, folder in folders.items())
    assert list(folders) == sorted(folders)
    package = Path(sys.modules["timm.data"].__file__).parent
    indices = (package / "_info" / f"imagenet_{name}_indices.txt").read_text().split()
    assert list(folders) == [int(index) for index in indices]  # timm's own mask of the logits
    of_100 = folders_of(name, "imagenet100")
    assert 0 < len(of_100) < 100
    assert all(class_list("imagenet100").wnids[label] == folder for label, folder in of_100.items())
    assert set(of_100.values()) == set(folders.values()) & set(class_list("imagenet100").wnids)


def test_v2_folders_are_labels_of_imagenet_1k():
    assert folders_of("v2", "imagenet1k") == {label: str(label) for label in range(1000)}
    wnids = class_list("imagenet1k").wnids
    for label, folder in folders_of("v2", "imagenet100").items():
        assert wnids[int(folder)] == class_list("imagenet100").wnids[label]
