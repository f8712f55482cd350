"""Settings and arguments checked by pydantic against their annotations, where types, choices and ranges are declared.

@dataclass(frozen=True)
class Example(Settings):
    images: Count = 100  # from 1 to a thousand million
    encoding: Literal["PNG", "JPEG"] = "PNG"
"""

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, ParamSpec, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model, validate_call

from dp.utils.errors import UserError

# Types are not converted: a bool is no number, a text no path. What cannot be meant is above the upper bounds.
STRICT = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Side = Annotated[int, Field(ge=1, le=4096)]  # pixels
SideOrZero = Annotated[int, Field(ge=0, le=4096)]
Steps = Annotated[int, Field(ge=1, le=1000)]  # of sampling: schedulers have 1,000
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=1000)]

Scale = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]  # of classifier-free guidance

T = TypeVar("T")
P = ParamSpec("P")


class Settings:
    """Base of dataclasses whose fields are checked against their annotations when an instance is made.

    Raises:
        UserError: a field is of another type than its annotation, or out of its range; the line names it.
    """

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        try:
            kind: Any = type(self)
            _fields_of(kind).model_validate(vars(self))
        except ValidationError as error:
            raise UserError(problem(error)) from None


def settings_from(kind: type[T], values: Any) -> T:
    """Return settings of a kind from the JSON values that `dataclasses.asdict` gave, all of them and no others.

    Raises:
        UserError: a setting is unknown, missing, of another type or out of range; the line names it.
    """
    made: Any = partial_settings(kind, values)
    missing = _missing(asdict(made), values)
    if missing:
        names = ", ".join(missing[:3]) + ", ..." * (len(missing) > 3)
        raise UserError(f"settings: {names}: missing; these are settings of another version")
    return made


def partial_settings(kind: type[T], values: Any) -> T:
    """Return settings of a kind from JSON values, those that are left out at their defaults.

    Raises:
        UserError: a setting is unknown, of another type or out of range; the line names it.
    """
    adapter: Any = _adapter
    try:
        return adapter(kind).validate_json(json.dumps(values), strict=True)  # from JSON lists become tuples
    except ValidationError as error:
        raise UserError(problem(error)) from None


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function with its arguments checked against their annotations; a decorator.

    Raises:
        UserError: an argument is of another type or out of range; the line names it.
    """
    names = inspect.signature(function)
    call: Any = validate_call(config=STRICT)(function)

    @functools.wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            given = names.bind_partial(*args, **kwargs).arguments  # by name, for the message
            own = [given.pop("self")] if "self" in given else []  # pydantic before 2.10 has a `self` of its own
            return call(*own, **given)
        except ValidationError as error:
            raise UserError(problem(error)) from None

    return checking


def problem(error: ValidationError) -> str:
    """Return the first thing that a check found, in one line: the name, what was got and what was expected."""
    found = error.errors(include_url=False)
    first, name = found[0], _name(found[0]["loc"])
    if first["type"] == "value_error":  # a `UserError` of a check of several fields: it names them
        return str(first["ctx"]["error"])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{name}: unknown; these are settings of another version, or the name is misspelt"
    if first["type"] in ("missing", "missing_argument"):
        return f"{name}: missing; give it"
    # Of a field that may be of several kinds each kind says what it expects.
    expected = dict.fromkeys(_expected(each["msg"]) for each in found if _name(each["loc"]) == name)
    return f"{name}: got {brief(first['input'])}, expected {' or '.join(expected)}"


def _name(place: tuple[int | str, ...]) -> str:
    """Return the name of a field, without pydantic's words for the kinds of values it may have."""
    return ".".join(str(part) for part in place if str(part).isidentifier() or isinstance(part, int)) or "settings"


def _expected(message: str) -> str:
    """Return what is expected, from pydantic's message."""
    text = message.partition(" should have ")[2] or message.removeprefix("Input should be ")
    if text == "callable":
        return "a module or a function"
    return f"a number {text}" if text.startswith(("greater", "less")) else text.partition(" after validation")[0]


def brief(value: object) -> str:
    """Return a value for a message: one line of at most 80 characters, texts in quotes."""
    try:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    except ValueError:  # an integer of more digits than Python is willing to write
        text = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."


@functools.cache
def _fields_of(kind: type) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    declared: dict[str, Any] = {name: (hint, ...) for name, hint in hints.items()}
    return create_model(kind.__name__, __config__=STRICT, **declared)


@functools.cache
def _adapter(kind: type) -> Any:
    return TypeAdapter(kind)


def _missing(wanted: dict[str, Any], found: dict[str, Any], inside: str = "") -> list[str]:
    """Return the names in `wanted`, also those inside of others, that `found` lacks."""
    names = []
    for name, value in wanted.items():
        if name not in found:
            names.append(inside + name)
        elif isinstance(value, dict):
            names += _missing(value, found[name], f"{inside}{name}.")
    return names


def check_template(template: str) -> None:
    """Raise UserError unless a template of prompts has one place {}, or more, for the name of the class."""
    if "{}" not in template or "{" in template.replace("{}", "") or "}" in template.replace("{}", ""):
        raise UserError(f'template: got "{template}", expected a text with {{}} where the name of the class goes')
