"""Every field of every settings class refuses what is of another type or out of its range, in a line that names it."""

import json
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from hypothesis import given
from hypothesis import strategies as st

from dp.config import PracticeConfig, config_from
from dp.guidance.guidance import GuidanceConfig
from dp.practice.compute import Compute
from dp.runs.inputs import Source, source_from
from dp.runs.settings import Storage
from dp.utils.errors import UserError
from dp.utils.validation import Count, Settings, checked, partial_settings

KINDS = (PracticeConfig, GuidanceConfig, Source, Compute, Storage)
FIELDS = [(kind, each.name) for kind in KINDS for each in fields(kind)]


def limits(hint: Any) -> list[Any]:
    """The values just outside of the range that an annotation declares."""
    outside = []
    for field in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        for each in field.metadata:
            match each:
                case Ge(ge=bound):
                    outside.append(bound - 1)
                case Gt(gt=bound):
                    outside.append(bound)
                case Le(le=bound):
                    outside.append(bound + 1)
                case Lt(lt=bound):
                    outside.append(bound)
                case MaxLen(max_length=bound):
                    outside.append("x" * (bound + 1))
    return outside


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_every_field_has_a_range_or_choices_and_keeps_to_them(kind, name):
    hint = get_type_hints(kind, include_extras=True)[name]
    wrong = [object(), *limits(hint)]
    if isinstance(getattr(kind(), name), int | float) and not isinstance(getattr(kind(), name), bool):
        assert len(limits(hint)) == 2, f"{name}: no range"
        wrong += [float("nan"), float("inf"), 10**400, True, "1"]
    for value in wrong:
        with pytest.raises(UserError, match=f"^{name}[:.]") as caught:
            kind(**{name: value})
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda each: st.lists(each) | st.tuples(each),
)


@given(st.sampled_from(FIELDS), VALUES)
def test_any_value_is_taken_as_it_is_or_refused_in_a_line(field, value):
    kind, name = field
    try:
        assert getattr(kind(**{name: value}), name) is value
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 300


@given(st.sampled_from([name for kind, name in FIELDS if kind is PracticeConfig]), VALUES)
def test_json_gives_the_same_settings_or_a_line(name, value):
    values = json.loads(json.dumps(asdict(PracticeConfig()) | {name: value}))
    try:
        config = config_from(values)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert json.loads(json.dumps(asdict(config))) == values


def test_settings_come_back_from_json_whole_or_not_at_all():
    config = replace(PracticeConfig(), branch_sizes=(1100,), lr=1)
    values = json.loads(json.dumps(asdict(config)))
    assert config_from(values) == config
    source = Source("p", classes=("cat", "dog"))
    assert source_from(json.loads(json.dumps(asdict(source)))) == source
    for wrong, message in (
        (values | {"omegas": 1}, "omegas: unknown"),
        ({k: v for k, v in values.items() if k != "lr"}, "settings: lr: missing"),
        (values | {"guidance": {"omega": 0.1}}, "settings: guidance.interval, guidance.every, guidance.relative, ..."),
        (values | {"lr": "0.1"}, 'lr: got "0.1", expected a valid number'),
        (values | {"warmup": 0.9}, "warmup, cooldown: got 0.9"),
        ([], "settings: got "),
    ):
        with pytest.raises(UserError, match=f"^{message}"):
            config_from(wrong)
    assert partial_settings(PracticeConfig, {"lr": 0.5}).lr == 0.5


def test_arguments_are_checked_as_settings_are():
    @checked
    def repeat(word: str, times: Count = 2) -> str:
        return word * times

    assert repeat("a") == "aa" and repeat(word="b", times=3) == "bbb"
    with pytest.raises(UserError, match=r"^times: got 0, expected a number greater than or equal to 1"):
        repeat("a", 0)
    with pytest.raises(UserError, match=r"^word: missing"):
        repeat()


def test_settings_stay_dataclasses():
    assert [each.name for each in fields(PracticeConfig)][:3] == ["seed", "n_initial", "n_per_round"]
    assert all(issubclass(kind, Settings) and hash(kind()) == hash(kind()) for kind in KINDS)
    with pytest.raises(UserError, match=r"^lr: got -1"):
        replace(PracticeConfig(), lr=-1)
