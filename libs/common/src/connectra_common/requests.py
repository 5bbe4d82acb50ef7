"""Reading requests: pydantic models whose every violation becomes a `FieldViolation`, and unknown keys a warning or a refusal."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from connectra_common.errors import FieldViolation, ValidationFailed

M = TypeVar("M", bound=BaseModel)

# {"field", "message"} of what was ignored.
Warning: TypeAlias = dict[str, str]


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
            unknown = [hint(key, keys(cls)) for key in data if key not in keys(cls)]
            if unknown:
                raise ValueError("; ".join(unknown))
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
    """A violation for each text, at any depth, that contains the character U+0000, which PostgreSQL can neither store nor compare."""
    found, rest = [], [(prefix, data)]
    while rest:
        at, value = rest.pop()
        if isinstance(value, str) and "\0" in value:
            found.append(FieldViolation(at, f"{at}: has the character U+0000 (NUL), which is not allowed"))
        elif isinstance(value, Mapping):
            rest += [(path((key,), at), inner) for key, inner in value.items()]
            rest += [(at, key) for key in value]
        elif isinstance(value, list):
            rest += [(path((index,), at), inner) for index, inner in enumerate(value)]
    return found


def violations(error: ValidationError, prefix: str = "") -> list[FieldViolation]:
    """A pydantic error as violations, e.g. field `where.text_matches.must[0].text_value`."""
    found = []
    for item in error.errors(include_url=False):
        field = path(item["loc"], prefix)
        text = item["msg"].removeprefix("Value error, ")
        text = text[0].lower() + text[1:]
        message = f"{field}: {text}" if field else text
        found.append(FieldViolation(field, message))
    return found


def path(location: Iterable[str | int], prefix: str = "") -> str:
    """`("a", 0, "b")` as `a[0].b`."""
    text = prefix
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def keys(model: type[BaseModel]) -> list[str]:
    """The JSON keys a model knows."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names += (
            [alias or name]
            if alias is None or isinstance(alias, str)
            else [str(c) for c in getattr(alias, "choices", ())]
        )
    return names


def hint(name: str, known: Sequence[str]) -> str:
    """`unknown field 'nmae'; did you mean 'name'?`, or what is allowed if no name is similar."""
    close = get_close_matches(name, known, n=1)
    return f"unknown field {name!r}; " + (f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(known)}")


def unknown_keys(data: object, known: Sequence[str], prefix: str = "") -> list[Warning]:
    """A warning for each key that is ignored."""
    if not isinstance(data, Mapping):
        return []
    return [{"field": path((key,), prefix), "message": hint(key, known)} for key in data if key not in known]
