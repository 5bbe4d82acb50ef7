"""The field catalogue: the single source of columns, JSON records, index mapping, CSV columns, filters and documentation.

Adding a field here and a migration for its column is all it takes (CONTRIBUTING.md).
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Type(StrEnum):
    """What a field holds, in PostgreSQL, in JSON and on the wire."""

    INTEGER = "integer"
    TEXT = "text"
    LIST = "list"  # of text
    TIME = "time"


class Index(StrEnum):
    """How Elasticsearch indexes a field; decides which clauses of VQL may name it."""

    NONE = "none"
    UUID = "uuid"  # keyword, exactly as stored; also the tie-breaker of every order
    KEYWORD = "keyword"  # whole value, whatever its case
    TEXT = "text"  # words, substrings, and the whole value for sorting
    LONG = "long"
    DATE = "date"


class Rule(StrEnum):
    """The rule for a value, whichever way it comes (`records/values`)."""

    TEXT = "text"
    LOWER = "lower"  # a text, kept in lower case
    INTEGER = "integer"
    LIST = "list"
    UUID = "uuid"
    PHONE = "phone"
    EMAIL = "email"
    DOMAIN = "domain"
    URL = "url"
    LINKEDIN = "linkedin"
    LINKEDIN_LOWER = "linkedin_lower"  # kept in lower case


@dataclass(frozen=True, slots=True)
class FilterDefinition:
    """A filter offered to users; `id` and `stored` as documented."""

    id: int
    label: str
    stored: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a record."""

    name: str
    type: Type = Type.TEXT
    index: Index = Index.NONE
    # Meaningless if only the server sets the value.
    rule: Rule = Rule.TEXT
    # Whether text clauses may search the keyword too, through the sub-field `.text`.
    also_text: bool = False
    # Whether it has names of people, which may be asked for by nicknames and by their sound.
    names_people: bool = False
    csv_column: str | None = None
    # A column for this field of this record alone, which goes before `csv_column`; it holds what is stored, not what it is made of.
    own_column: str | None = None
    # Whether an import stores it in lower case, as documented, where JSON clients may give it in any case.
    csv_lower: bool = False
    # Copied into the documents of a company's contacts, as `company_<name>`.
    copied: bool = False
    # Set by the server; ignored in requests.
    read_only: bool = False
    filter: FilterDefinition | None = None

    @property
    def lists_from_index(self) -> bool:
        """Whether the values of its direct filter are read from the index: it has them whole, and they are nearly as many as records."""
        return self.index is Index.KEYWORD and self.filter is not None and not self.filter.stored

    @property
    def has_categories(self) -> bool:
        """Whether it is a keyword that groups records rather than identifying one; such values are compared without accents."""
        return self.index is Index.KEYWORD and self.rule not in _IDENTIFYING


_IDENTIFYING = (Rule.EMAIL, Rule.PHONE, Rule.LINKEDIN, Rule.LINKEDIN_LOWER, Rule.UUID)


@dataclass(frozen=True, eq=False)
class Entity:
    """Companies or contacts; there are just these two, compared by identity."""

    name: str
    table: str
    alias: str
    fields: tuple[Field, ...]
    # The second match of an upsert without uuid.
    match_column: str

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by name, in table order."""
        return {field.name: field for field in self.fields}

    @property
    def title(self) -> str:
        """The name as it appears at the start of a message."""
        return self.name.capitalize()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names in table order."""
        return tuple(field.name for field in self.fields)

    @cached_property
    def writable(self) -> tuple[Field, ...]:
        """Fields a client may give, uuid included."""
        return tuple(field for field in self.fields if not field.read_only)

    @cached_property
    def data_fields(self) -> tuple[Field, ...]:
        """Fields a client may change."""
        return tuple(field for field in self.writable if field.name != "uuid")

    @cached_property
    def stored_filters(self) -> tuple[Field, ...]:
        """Fields whose values are kept in filters_data for users to choose from; for companies also `uuid`, displayed as the name."""
        return tuple(field for field in self.fields if field.filter and field.filter.stored)

    @cached_property
    def column_filters(self) -> tuple[Field, ...]:
        """Fields whose values are read from the column itself for users to choose from."""
        return tuple(f for f in self.fields if f.filter and not f.filter.stored and not f.lists_from_index)


def _text(name: str, label: str | None = None, id: int = 0, stored: bool = False, **more: object) -> Field:
    return Field(name, index=Index.TEXT, filter=_filter(id, label, stored), **more)  # type: ignore[arg-type]


def _keyword(name: str, label: str | None = None, id: int = 0, stored: bool = True, **more: object) -> Field:
    return Field(name, index=Index.KEYWORD, filter=_filter(id, label, stored), **more)  # type: ignore[arg-type]


def _list(name: str, label: str, id: int, csv_column: str | None = None, copied: bool = False) -> Field:
    return _keyword(
        name,
        label,
        id,
        type=Type.LIST,
        rule=Rule.LIST,
        csv_lower=True,
        csv_column=csv_column or name,
        copied=copied,
    )


def _number(name: str, label: str | None = None, id: int = 0, **more: object) -> Field:
    more = {"rule": Rule.INTEGER, "csv_column": name, **more}
    return Field(name, Type.INTEGER, Index.LONG, filter=_filter(id, label, False), **more)  # type: ignore[arg-type]


def _place(name: str, label: str, id: int, rule: Rule, column: str, copied: bool, stored: bool = True) -> Field:
    return _keyword(
        name, label, id, stored, rule=rule, also_text=True, csv_column=column, csv_lower=True, copied=copied
    )


def _phone(
    name: str,
    label: str | None = None,
    id: int = 0,
    column: str | None = None,
) -> Field:
    return Field(
        name, index=Index.KEYWORD, rule=Rule.PHONE, filter=_filter(id, label, False), csv_column=column or name
    )


def _filter(id: int, label: str | None, stored: bool) -> FilterDefinition | None:
    return FilterDefinition(id, label, stored) if label else None


_ID = Field("id", Type.INTEGER, Index.LONG, read_only=True)
_TIMES = (
    Field("created_at", Type.TIME, Index.DATE, read_only=True),
    Field("updated_at", Type.TIME, Index.DATE, read_only=True),
    Field("deleted_at", Type.TIME, read_only=True),
)

COMPANY = Entity(
    name="company",
    table="companies",
    alias="companies_index",
    match_column="normalized_domain",
    fields=(
        _ID,
        Field(
            "uuid",
            index=Index.UUID,
            rule=Rule.UUID,
            own_column="company_uuid",
            filter=FilterDefinition(1, "Name", True),
        ),
        _text("name", csv_column="company", copied=True),
        _number("employees_count", "Employees Count", 2, csv_column="employees", copied=True),
        _list("industries", "Industries", 3, csv_column="industry", copied=True),
        _list("keywords", "Keywords", 4, csv_column="keywords", copied=True),
        _text("address", "Address", 5, csv_column="company_address", copied=True),
        _number("annual_revenue", "Annual Revenue", 6, copied=True),
        _number("total_funding", "Total Funding", 7, copied=True),
        _list("technologies", "Technologies", 8, csv_column="technologies", copied=True),
        _place("city", "City", 9, Rule.TEXT, "company_city", copied=True),
        _place("state", "State", 10, Rule.TEXT, "company_state", copied=True),
        _place("country", "Country", 11, Rule.TEXT, "company_country", copied=True),
        _place("linkedin_url", "LinkedIn URL", 12, Rule.LINKEDIN, "company_linkedin_url", copied=True, stored=False),
        _text("website", "Website", 13, rule=Rule.URL, csv_column="website", copied=True),
        _text(
            "normalized_domain",
            "Normalized Domain",
            14,
            rule=Rule.DOMAIN,
            csv_column="email",
            own_column="company_domain",
            copied=True,
        ),
        Field("facebook_url", rule=Rule.URL, csv_column="facebook_url", own_column="company_facebook_url"),
        Field("twitter_url", rule=Rule.URL, csv_column="twitter_url", own_column="company_twitter_url"),
        Field("company_name_for_emails", csv_column="company_name_for_emails"),
        _phone("phone_number", column="company_phone"),
        _keyword("latest_funding", csv_column="latest_funding"),
        _number("latest_funding_amount"),
        Field("last_raised_at", csv_column="last_raised_at"),
        *_TIMES,
    ),
)

CONTACT = Entity(
    name="contact",
    table="contacts",
    alias="contacts_index",
    match_column="email",
    fields=(
        _ID,
        Field("uuid", index=Index.UUID, rule=Rule.UUID, own_column="uuid"),
        _text("first_name", "First Name", 15, rule=Rule.LOWER, csv_column="first_name", names_people=True),
        _text("last_name", "Last Name", 16, rule=Rule.LOWER, csv_column="last_name", names_people=True),
        _keyword("company_id", "Company ID", 17, stored=False, rule=Rule.UUID),
        _keyword("email", "Email", 18, stored=False, rule=Rule.EMAIL, csv_column="email"),
        _text("title", "Title", 19, stored=True, csv_column="title"),
        _list("departments", "Departments", 20, csv_column="departments"),
        _phone("mobile_phone", "Mobile Phone", 21),
        _keyword("email_status", "Email Status", 22, rule=Rule.LOWER, csv_column="email_status"),
        _keyword("seniority", "Seniority", 23, rule=Rule.LOWER, csv_column="seniority"),
        _place("city", "City", 24, Rule.LOWER, "city", copied=False),
        _place("state", "State", 25, Rule.LOWER, "state", copied=False),
        _place("country", "Country", 26, Rule.LOWER, "country", copied=False),
        _place(
            "linkedin_url", "LinkedIn URL", 27, Rule.LINKEDIN_LOWER, "person_linkedin_url", copied=False, stored=False
        ),
        Field("facebook_url", rule=Rule.URL, csv_column="facebook_url", own_column="person_facebook_url"),
        Field("twitter_url", rule=Rule.URL, csv_column="twitter_url", own_column="person_twitter_url"),
        Field("website", rule=Rule.URL, own_column="person_website"),
        _phone("work_direct_phone"),
        _phone("home_phone"),
        _phone("other_phone"),
        _keyword("stage", rule=Rule.LOWER, csv_column="stage"),
        *_TIMES,
    ),
)

ENTITIES = {entity.name: entity for entity in (COMPANY, CONTACT)}
# What the path segment `service` may be.
SERVICES = {"company": COMPANY, "companies": COMPANY, "contact": CONTACT, "contacts": CONTACT}
COPIED = tuple(field for field in COMPANY.fields if field.copied)


# How a field of a contact's company may begin.
COMPANY_PREFIXES = ("company.", "company_")


# What a list may be asked for beside columns: the version of each record. It is no field: nothing finds it, no file has it.
ROW_VERSION = "row_version"


def column_of(entity: Entity, name: str) -> tuple[Entity, Field] | None:
    """The column that a client means by a name: the entity's own or, of contacts, `company.X` and `company_X` of their company.

    None when there is none.
    """
    if field := entity.by_name.get(name):
        return entity, field
    prefix = name[: len(COMPANY_PREFIXES[0])]
    if entity is CONTACT and prefix in COMPANY_PREFIXES and (field := COMPANY.by_name.get(name[len(prefix) :])):
        return COMPANY, field
    return None


def csv_columns() -> frozenset[str]:
    """Every CSV column an import knows."""
    return frozenset(
        column for e in ENTITIES.values() for f in e.fields for column in (f.csv_column, f.own_column) if column
    )
