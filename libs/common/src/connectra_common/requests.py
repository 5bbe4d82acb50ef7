"""Reading requests: pydantic models whose every violation becomes a `FieldViolation`, and unknown keys a warning or a refusal."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from connectra_common.errors import FieldViolation, ValidationFailed, listed

M = TypeVar("M", bound=BaseModel)

# {"field", "message"} of what was ignored.
Warning: TypeAlias = dict[str, str]

# Suggestions in one answer: each costs as much as reading some hundred values.
MAX_HINTS = 10
# Of a name that a client made up.
MAX_NAME_CHARS = 100


class Request(BaseModel):
    """A whole request. Types are strict (`"3"` is not a number); unknown keys are ignored, but see `unknown_keys`."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Part(BaseModel):
    """A part in which an unknown key would change the meaning of the request, and so is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = keys(cls)
            if unknown := [key for key in data if key not in known]:
                raise ValueError("; ".join([*(hint(key, known) for key in unknown[:MAX_HINTS]), *_more(unknown)]))
        return data


class Read(NamedTuple, Generic[M]):
    """A parsed request, and a warning for each of its keys that is ignored."""

    model: M
    warnings: list[Warning]


def read(model: type[M], data: object, *more_keys: str) -> Read[M]:
    """The request as a model; `more_keys` are expected as well, though the model does not have them.

    Raises:
        ValidationFailed: with all violations.
    """
    if nul := nul_violations(data):
        raise ValidationFailed.of(nul)
    try:
        return Read(model.model_validate(data), unknown_keys(data, [*keys(model), *more_keys]))
    except ValidationError as error:
        raise ValidationFailed.of(violations(error)) from None


def nul_violations(data: object, prefix: str = "") -> list[FieldViolation]:
    """A violation for each text, at any depth, that contains the character U+0000, which PostgreSQL can neither store nor compare, up to
    MAX_HINTS; one at `prefix` says how many more there are.
    """
    if not _has_nul(data):
        return []
    found: list[FieldViolation] = []
    more, rest = 0, [(prefix, data)]
    while rest:
        at, value = rest.pop()
        if isinstance(value, str) and "\0" in value:
            if len(found) < MAX_HINTS:
                found.append(FieldViolation(at, f"{at}: has the character U+0000 (NUL), which is not allowed"))
            else:
                more += 1
        elif isinstance(value, Mapping):
            rest += [(path((key,), at), inner) for key, inner in value.items()]
            rest += [(at, key) for key in value]
        elif isinstance(value, list):
            rest += [(path((index,), at), inner) for index, inner in enumerate(value)]
    return found + ([FieldViolation(prefix, f"{more:,} more texts have the character U+0000 (NUL)")] if more else [])


def _has_nul(data: object) -> bool:
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            if "\0" in value:
                return True
        elif isinstance(value, Mapping):
            rest += value
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return False


def violations(error: ValidationError, prefix: str = "") -> list[FieldViolation]:
    """A pydantic error as violations, e.g. field `where.text_matches.must[0].text_value`."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = path(item["loc"], prefix)
        # Pydantic names the class, and what JSON has not.
        text = _AN_OBJECT if item["type"] in _NO_OBJECT else item["msg"].removeprefix("Value error, ")
        text = text[0].lower() + text[1:]
        message = f"{field}: {text}" if field else text
        found.append(FieldViolation(field, message))
    return found


_NO_OBJECT = ("model_type", "dict_type")
_AN_OBJECT = "input should be an object"


def path(location: Iterable[str | int], prefix: str = "") -> str:
    """`("a", 0, "b")` as `a[0].b`; names that are too long are cut."""
    text = prefix
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:MAX_NAME_CHARS]}" if text else part[:MAX_NAME_CHARS]
    return text


@cache
def keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The JSON keys a model knows."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names += (
            [alias or name]
            if alias is None or isinstance(alias, str)
            else [str(c) for c in getattr(alias, "choices", ())]
        )
    return tuple(names)


def hint(name: str, known: Sequence[str]) -> str:
    """`unknown field 'nmae'; did you mean 'name'?`, or what is allowed if no name is similar; of names such as `company.city` only the
    first part.
    """
    close = get_close_matches(name, known, n=1) if len(name) <= MAX_NAME_CHARS else []
    allowed = dict.fromkeys(re.sub(r"\..*", ".…", one) for one in known)
    end = f"did you mean {close[0]!r}?" if close else f"allowed: {listed(allowed)}"
    shown = name if len(name) <= MAX_NAME_CHARS else f"{name[:MAX_NAME_CHARS]}…"
    return f"unknown field {shown!r}; {end}"


def hinted(unknown: Sequence[tuple[str, str]], known: Sequence[str], rest: str = "") -> list[FieldViolation]:
    """A violation with a hint for each (place, name), up to MAX_HINTS; one at `rest` says how many more there are."""
    found = [FieldViolation.at(place, hint(name, known)) for place, name in unknown[:MAX_HINTS]]
    return found + [FieldViolation.at(rest, more) for more in _more(unknown)]


def unknown_keys(data: object, known: Sequence[str], prefix: str = "") -> list[Warning]:
    """A warning with a hint for each key that is ignored, up to MAX_HINTS; one at `prefix` says how many more there are."""
    if not isinstance(data, Mapping):
        return []
    unknown = [key for key in data if key not in known]
    found = [{"field": path((key,), prefix), "message": hint(key, known)} for key in unknown[:MAX_HINTS]]
    return found + [{"field": prefix, "message": more} for more in _more(unknown)]


def _more(unknown: Sequence[object]) -> list[str]:
    more = len(unknown) - MAX_HINTS
    return [f"{more:,} more unknown fields"] if more > 0 else []


def at_most(number: int, noun: str) -> BeforeValidator:
    """Of a list or an object in a model: refuses one with more members than that before it reads any of them."""

    def counted(value: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > number:
            raise ValueError(f"{len(value)} {noun}; at most {number} are allowed")
        return value

    return BeforeValidator(counted)


def one_of(what: str) -> WrapValidator:
    """Of a union in a model: refuses with one sentence, instead of one for each type that it might have been."""

    def checked(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError:
            raise ValueError(f"input should be {what}") from None

    return WrapValidator(checked)


def between(least: int, most: int) -> dict[str, JsonValue]:
    """What the OpenAPI document says of a number whose bounds a later pass checks, with a refusal of its own."""
    return {"minimum": least, "maximum": most}
