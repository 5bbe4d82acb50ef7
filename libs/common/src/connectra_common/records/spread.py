"""Columns of which each row says what they hold: whole names, URLs of any site, phones with a label, Google's cells of several values.

They are spread over columns that mean one thing, which stand behind those of the file; nothing in a cell is dropped or changed.
"""

import re
from collections.abc import Callable, Sequence

from connectra_common.records import column_names
from connectra_common.records.columns import Columns, normal
from connectra_common.records.fields import ENTITIES, Type

# What Google puts between several values of one cell.
SEVERAL = ":::"

_Split = Callable[[Sequence[str]], tuple[str, ...]]


class Spread:
    """Widens the rows below a header.

    Args:
        columns: of the file.
    """

    def __init__(self, columns: Columns) -> None:
        found = columns.positions
        # Position and list-ness of cells that may have several values.
        several = any(_GOOGLE.search(normal(header)) for header in columns.headers)
        self._several = [(at, target in _LISTS) for target, at in found.items()] if several else []
        self._splits: list[_Split] = []
        headers, targets = list(columns.headers), list(columns.targets)
        for made, header, split in _splits(columns):
            self._splits.append(split)
            headers += [header] * len(made)
            # A column that means it alone goes before.
            targets += [None if target in targets else target for target in made]
        self.columns = Columns(tuple(headers), tuple(targets))

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._splits or self._several)

    def widen(self, cells: Sequence[str]) -> list[str]:
        """The cells of a row and those that are made of them, under `columns`."""
        wide = list(cells)
        for at, is_list in self._several:
            if SEVERAL in wide[at]:
                parts = [part for each in wide[at].split(SEVERAL) if (part := each.strip())]
                wide[at] = ", ".join(parts) if is_list else (parts or [""])[0]
        for split in self._splits:
            wide += split(wide)
        return wide


def split_name(name: str) -> tuple[str, str]:
    """First and last name of a whole one: `Ada van der Berg` has the last name `van der Berg`, `Berg, Ada` is turned, `Berg, MBA` is not.

    One word is a first name; of three and more without a particle the last is the last name. Names in Chinese, Japanese and Korean script
    begin with the family's.
    """
    parts = [part for each in name.split(",") if (part := each.strip())]
    count = len(parts)
    while count > 1 and _is_credential(parts[count - 1], parts[0]):
        count -= 1
    if count == 2:
        return parts[1], ", ".join([parts[0], *parts[2:]])
    words = ", ".join(parts[:count]).split()
    while len(words) > 2 and _BEHIND_NAME.fullmatch(words[-1]):
        words[-2:] = [f"{words[-2]} {words[-1]}"]
    if words:
        words[-1] = ", ".join([words[-1], *parts[count:]])
    if len(words) > 1 and _FAMILY_FIRST.fullmatch("".join(words)):
        return " ".join(words[1:]), words[0]
    at = len(words) - 1
    while at > 1 and words[at - 1].lower() in _PARTICLES:
        at -= 1
    return (" ".join(words[:at]), " ".join(words[at:])) if at > 0 else (" ".join(words), "")


def _is_credential(part: str, name: str) -> bool:
    """Whether what stands behind a comma is `MBA` or the like; of a name in capitals (`BERG, ADA`), only what can be nothing else is."""
    words = part.replace(".", "").split()
    return all(_TITLE.fullmatch(word) or (_CAPITALS.fullmatch(word) and not name.isupper()) for word in words)


def split_reversed_name(name: str) -> tuple[str, str]:
    """First and last name of a whole one that begins with the last: `van der Berg Ada`."""
    if "," in name:
        return split_name(name)
    words = name.split()
    at = 0
    while at < len(words) - 2 and words[at].lower() in _PARTICLES:
        at += 1
    return (" ".join(words[at + 1 :]), " ".join(words[: at + 1])) if len(words) > 1 else (" ".join(words), "")


def _splits(columns: Columns) -> list[tuple[tuple[str, ...], str, _Split]]:
    """Targets that are made, the header they are made of, and how."""
    found, headers = columns.positions, columns.headers
    made: list[tuple[tuple[str, ...], str, _Split]] = []
    for target, split in (("full_name", split_name), ("last_first_name", split_reversed_name)):
        if (at := found.get(target)) is not None:
            made.append((("first_name", "last_name"), headers[at], lambda cells, at=at, split=split: split(cells[at])))  # type: ignore[misc]
    for target, (profile, site) in _URLS.items():
        if (at := found.get(target)) is not None:
            made.append(((profile, site), headers[at], lambda cells, at=at: _split_url(cells[at])))  # type: ignore[misc]
    phones = [
        (at, found.get(f"phone_{n}_label"))
        for n in column_names.LABELLED_PHONES
        if (at := found.get(f"phone_{n}")) is not None
    ]
    if phones:
        made.append((_PHONES, headers[phones[0][0]], lambda cells: _sort_phones(cells, phones)))
    return made


def _split_url(url: str) -> tuple[str, str]:
    return (url, "") if "linkedin.com" in url.lower() else ("", url)


def _sort_phones(cells: Sequence[str], phones: Sequence[tuple[int, int | None]]) -> tuple[str, ...]:
    """The first phone of each kind, by the labels; a second one of a kind is another phone where there is none."""
    sorted_: dict[str, str] = {}
    for at, label_at in phones:
        label = normal(cells[label_at]) if label_at is not None else ""
        if not cells[at].strip() or any(word in label for word in _FAX):
            continue
        kind = next((kind for kind, words in _LABELS.items() if any(word in label for word in words)), "other_phone")
        sorted_.setdefault(kind if kind not in sorted_ else "other_phone", cells[at])
    return tuple(sorted_.get(kind, "") for kind in _PHONES)


_URLS = {"person_url": ("person_linkedin_url", "person_website"), "company_url": ("company_linkedin_url", "website")}
_PHONES = ("mobile_phone", "work_direct_phone", "home_phone", "other_phone")
# Parts of labels in the languages of Google's export.
_LABELS = {
    "mobile_phone": ("mobil", "cell", "handy", "portable", "movil", "telemovel", "celular", "mobiel", "komork"),
    "work_direct_phone": (
        "work",
        "arbeit",
        "geschaft",
        "dienst",
        "travail",
        "bureau",
        "trabajo",
        "lavoro",
        "trabalho",
        "werk",
        "praca",
        "sluzb",
    ),
    "home_phone": ("home", "privat", "zuhause", "domicile", "casa", "particular", "abitazione", "thuis", "dom"),
}
_FAX = ("fax", "faks", "telecopi")
_PARTICLES = frozenset(
    ("van", "von", "vom", "zu", "zur", "der", "den", "ter", "ten", "te", "de", "del", "della", "dei", "di", "da", "do")
) | {"dos", "das", "du", "des", "la", "le", "el", "al", "bin", "ibn", "ben", "af", "av"}
_TITLE = re.compile(r"jr|sr|phd|dr|mba|md|esq|ii|iii|iv|cpa|cfa|pmp|[bm]sc|[bm]eng|mphil", re.IGNORECASE)
_CAPITALS = re.compile(r"[A-Z]{2,6}|[A-Z][a-z]{0,4}[A-Z]")
# What is no name itself: signs, such as an emoji, words in parentheses, and suffixes.
_BEHIND_NAME = re.compile(r"[\W_]+|\(.*\)|(?:jr|sr|ii|iii|iv|ph\.?d|mba|esq)\.?", re.IGNORECASE)
_FAMILY_FIRST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u3005·]+")
_GOOGLE = re.compile(r"\dvalue$")
_LISTS = frozenset(
    field.csv_column
    for entity in ENTITIES.values()
    for field in entity.fields
    if field.type is Type.LIST and field.csv_column
)
