"""What the conditions of one query share: the fields they may name, how much they may be together, and what is wrong with them."""

from collections.abc import Callable
from dataclasses import dataclass

from connectra_common.errors import FieldViolation
from connectra_common.records.fields import CONTACT, Entity, Field, Index
from connectra_common.requests import hinted
from connectra_common.search.mappings import indexed_fields
from connectra_common.vql.ast import And, Node
from connectra_common.vql.limits import Limits

COMPANY_PREFIX = "company."
# A condition that is refused; a tree with one is thrown away.
REFUSED: Node = And(())


def indexed_name(entity: Entity, given: str) -> str:
    """The name of a field in the index: of contacts, `company.name` is `company_name`."""
    if entity is not CONTACT or not given.startswith(COMPANY_PREFIX):
        return given
    name = given.removeprefix(COMPANY_PREFIX)
    return "company_id" if name == "uuid" else f"company_{name}"


class Wrong(ValueError):
    """What is wrong with one condition, without its place."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(slots=True)
class Amount:
    """How much there is in the conditions so far."""

    limits: Limits
    conditions: int = 0
    words: int = 0
    fuzzy_words: int = 0
    # Parts of whole values.
    scans: int = 0

    def excess(self) -> list[FieldViolation]:
        """What is too much."""
        limits = self.limits
        counted = (
            (self.conditions, limits.clauses, "conditions"),
            (self.words, limits.words, "words and dates in all conditions"),
            (self.fuzzy_words, limits.fuzzy_words, "words with `fuzzy` or `alike`"),
            (self.scans, limits.scans, "parts to look for in whole values (email, city …)"),
        )
        return [
            FieldViolation.at("where", f"{number} {what}; at most {most} are allowed")
            for number, most, what in counted
            if number > most
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """The field that a condition is about, by its name in the index and in the request; `path` is the condition's place there."""

    path: str
    given: str
    name: str
    field: Field
    amount: Amount

    @property
    def is_number(self) -> bool:
        """Whether it is a number or a date, which have bounds and no parts."""
        return self.field.index in (Index.LONG, Index.DATE)


class Reading:
    """The conditions of one query while they are read."""

    def __init__(self, entity: Entity, limits: Limits) -> None:
        self.fields = indexed_fields(entity)
        self._entity, self._amount = entity, Amount(limits)
        self._found: list[FieldViolation] = []
        self._unknown: list[tuple[str, str]] = []

    def condition(self, path: str, given: str, read: Callable[[Target], Node]) -> Node:
        """The node that `read` makes for a field; what it raises as Wrong, or that there is no such field, is a violation."""
        self._amount.conditions += 1
        name = self.name(given)
        if (field := self.fields.get(name)) is not None:
            try:
                return read(Target(path, given, name, field, self._amount))
            except Wrong as wrong:
                self._found += [FieldViolation.at(path, problem) for problem in wrong.problems]
        elif given in self._entity.by_name:
            self._found.append(
                FieldViolation.at(path, f"{given} cannot be searched; docs/fields.md says which fields can")
            )
        else:
            self._unknown.append((path, given))
        return REFUSED

    def whole(self, path: str, read: Callable[[], Node]) -> Node:
        """The node that `read` makes of what names no field; what it raises as Wrong is a violation."""
        self._amount.conditions += 1
        try:
            return read()
        except Wrong as wrong:
            self._found += [FieldViolation.at(path, problem) for problem in wrong.problems]
        return REFUSED

    def name(self, given: str) -> str:
        """As `indexed_name`."""
        return indexed_name(self._entity, given)

    def violations(self) -> list[FieldViolation]:
        """Everything that is wrong with the conditions, and with all of them together."""
        unknown = hinted(self._unknown, sorted(self.fields), "where") if self._unknown else []
        return [*self._found, *unknown, *self._amount.excess()]
