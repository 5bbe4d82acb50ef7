"""The documented paths as regular expressions: Envoy itself cannot tell a wrong method (405) from an unknown path (404).

They are derived from the bindings of the contracts. Every template has its own small expression, because Envoy rejects
those whose RE2 program is larger than 100.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from connectra_gateway.descriptors import Binding

_VERSION = "/v1"
_VARIABLE = re.compile(r"\{(\w+)\}")
_PLAIN = re.compile(r"(/([\w.-]+|\{\w+\}))+")

Verbs = Mapping[str, set[str]]


@dataclass(frozen=True)
class PathGroup:
    """Path templates that share verbs, without `/v1`, though each also exists with it."""

    verbs: tuple[str, ...]
    templates: tuple[str, ...]

    @property
    def regexes(self) -> tuple[str, ...]:
        """One expression per template."""
        return tuple(expression(template) for template in self.templates)


def expression(template: str) -> str:
    """A template, with and without `/v1` and a trailing slash, for a full match against a path without a query string.

    Raises:
        ValueError: the template contains more than literals and plain variables.
    """
    if not _PLAIN.fullmatch(template):
        raise ValueError(f"cannot express the path template {template!r}")
    return f"({_VERSION})?{_VARIABLE.sub('[^/?]+', template.replace('.', '[.]'))}/?"


def variables(bindings: Iterable[Binding]) -> list[str]:
    """Names of all path variables, which no query parameter may set."""
    return sorted({name for binding in bindings for name in _VARIABLE.findall(binding.template)})


def templates(bindings: Iterable[Binding], method: str) -> list[str]:
    """The paths of one method (full name)."""
    return sorted({_bare(binding.template) for binding in bindings if binding.method == method})


def known_paths(bindings: Iterable[Binding]) -> list[PathGroup]:
    """All documented paths by the verbs they accept; the first group that matches a path is the right one."""
    verbs = _verbs(bindings)

    def key(template: str) -> tuple[int, list[str]]:
        # A literal path also matches the expression of a variable one, so the literal ones come first.
        return template.count("{"), sorted(verbs[template])

    grouped = groupby(sorted(verbs, key=lambda template: (key(template), template)), key)
    return [PathGroup(tuple(allowed), tuple(group)) for (_, allowed), group in grouped]


def shadowed(bindings: Iterable[Binding]) -> list[PathGroup]:
    """Literal paths, by the verbs for which the transcoder would read them as a variable: `GET /companies/count`."""
    verbs = _verbs(bindings)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for literal in sorted(template for template in verbs if "{" not in template):
        wider = [verbs[template] for template in verbs if re.fullmatch(expression(template), literal)]
        if stolen := set().union(*wider) - verbs[literal]:
            groups[tuple(sorted(stolen))].append(literal)
    return [PathGroup(stolen, tuple(paths)) for stolen, paths in sorted(groups.items())]


def batches(bindings: Iterable[Binding]) -> list[str]:
    """The paths that take many records at once."""
    return sorted({_bare(b.template) for b in bindings if b.method.rpartition(".")[2].startswith("Batch")})


def _verbs(bindings: Iterable[Binding]) -> Verbs:
    """The verbs of each path; HEAD is answered where GET is."""
    verbs: dict[str, set[str]] = defaultdict(set)
    for binding in bindings:
        verbs[_bare(binding.template)] |= {"GET", "HEAD"} if binding.verb == "GET" else {binding.verb}
    return verbs


def _bare(template: str) -> str:
    return template.removeprefix(_VERSION) if template.startswith(f"{_VERSION}/") else template
