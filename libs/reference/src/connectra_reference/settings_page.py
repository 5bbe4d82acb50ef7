"""docs/settings.md: every variable that a process reads, from the models that read them.

A package declares what its processes read by the entry point group `connectra.settings`: the name of the process, and
its settings, a dataclass of groups.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from connectra_common.settings import Address, groups, variables
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from connectra_reference.markdown import anchor, table
from connectra_reference.shapes import Json

GROUP = "connectra.settings"
HEAD = """\
# Settings

Made by `make proto` from the models that read them (`settings.py` of each package); change those, not this page.

Every process is configured by environment variables, or by a file `.env` in its working directory; the environment wins. An empty
variable is the same as an absent one. A wrong or missing one ends the start with one line for each problem. Secrets are never logged.
Instead of `true` and `false` there may also be `1` and `0`, `yes` and `no`, `on` and `off`.

The command line and the Python client take the address and the key of a server from `CONNECTRA_URL` and `CONNECTRA_API_KEY`.

## Who reads what
"""


@dataclass
class Group:
    """Variables that belong together.

    Args:
        model: that reads them.
        names: of its own fields; those that it inherits belong to the group it inherits from.
        readers: names of the processes that read it.
    """

    model: type[BaseModel]
    names: list[str]
    readers: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its heading.

        Raises:
            ValueError: it has none.
        """
        return _given(self.model.model_config.get("title"), f"{self.model.__name__}: the title")


def page() -> str:
    """The whole page."""
    processes = {point.name: point.load() for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}
    found = _groups(processes)
    parts = [HEAD, *_readers(processes, found)]
    for group in found:
        parts += _section(group)
    return "\n".join(parts).rstrip() + "\n"


def _groups(processes: dict[str, type]) -> list[Group]:
    """All groups, those with the most readers first, then by title."""
    found: dict[type[BaseModel], Group] = {}
    for process, settings in processes.items():
        read = dict.fromkeys(one for model in groups(settings).values() for one in _own_and_inherited(model))
        for model in read:
            found.setdefault(model, Group(model, _own(model))).readers.append(process)
    return sorted(found.values(), key=lambda group: (-len(group.readers), group.title))


def _own_and_inherited(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__mro__:
        if issubclass(one, BaseModel) and _own(one):
            yield one


def _own(model: type[BaseModel]) -> list[str]:
    inherited = {name for base in model.__bases__ for name in getattr(base, "model_fields", {})}
    return [name for name in model.model_fields if name not in inherited]


def _readers(processes: dict[str, type], found: list[Group]) -> Iterator[str]:
    rows = []
    for name, settings in processes.items():
        what = _given(settings.__doc__, f"{name}: the docstring").removeprefix("What ").partition(" read")[0]
        links = [f"[{group.title}](#{anchor(group.title)})" for group in found if name in group.readers]
        rows.append((name, what, ", ".join(links)))
    return table(("name", "", "groups"), rows)


def _section(group: Group) -> Iterator[str]:
    about = " ".join(_given(group.model.__doc__, f"{group.model.__name__}: the docstring").split())
    yield f"## {group.title}\n"
    yield f"{about} Read by: {', '.join(group.readers)}.\n"
    yield from table(("variable", "value", "default", ""), _rows(group))


def _rows(group: Group) -> Iterator[tuple[str, ...]]:
    schema = group.model.model_json_schema(by_alias=False)
    for name in group.names:
        info = group.model.model_fields[name]
        said = _given(info.description, f"{group.model.__name__}.{name}: the description")
        names = " or ".join(f"`{variable}`" for variable in variables(info))
        yield names, allowed(schema["properties"][name]), _default(info), said


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    return "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


_PATTERNS = {
    TypeAdapter(Address).json_schema()["pattern"]: "host:port",
    r"^https?://": "URL",
    r"^https?://[^/]+": "URL",
}
_FORMATS = {"password": "secret", "file-path": "file"}
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}


def allowed(schema: Json) -> str:
    """What a value may be, in words, from its JSON schema.

    Raises:
        ValueError: the schema has something that there are no words for.
    """
    schema = next((one for one in schema.get("anyOf", ()) if one["type"] != "null"), schema)
    if values := schema.get("enum") or [schema[key] for key in ("const",) if key in schema]:
        return ", ".join(f"`{value}`" for value in values)
    if "pattern" in schema:
        return _known(_PATTERNS, schema["pattern"])
    kind = _known(_FORMATS, schema["format"]) if "format" in schema else _known(_TYPES, schema["type"])
    return ", ".join((kind, *_bounds(schema)))


def _bounds(schema: Json) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        if schema["type"] == "integer":
            least = above + 1
        else:
            yield f"above {above}"
    if least is not None and most is not None:
        yield f"{least} to {most}"
    elif least is not None:
        yield f"at least {least}"
    elif most is not None:
        yield f"at most {most}"
    if schema.get("minLength", 1) > 1:
        yield f"at least {schema['minLength']} characters"


def _known(words: dict[str, str], key: str) -> str:
    if key not in words:
        raise ValueError(f"{__name__}: there are no words for {key!r}")
    return words[key]


def _given(text: Any, what: str) -> str:
    if not text:
        raise ValueError(f"{what} is missing; docs/settings.md is made from it")
    return str(text)
