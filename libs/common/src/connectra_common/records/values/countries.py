"""The region of a country's name: codes of ISO 3166, and names in all the languages that the phone library knows."""

import unicodedata
from collections import defaultdict
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import phonenumbers
from phonenumbers import SUPPORTED_REGIONS

from connectra_common.records.remembered import remembered

_OTHERS = {
    "usa": "US", "u s a": "US", "u s": "US", "united states of america": "US", "the united states": "US", "america": "US", "eeuu": "US",
    "ee uu": "US", "uk": "GB", "u k": "GB", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "gbr": "GB", "deu": "DE", "ger": "DE", "brd": "DE", "aut": "AT", "che": "CH", "sui": "CH", "fra": "FR",
    "ita": "IT", "esp": "ES", "prt": "PT", "nld": "NL", "holland": "NL", "the netherlands": "NL", "bel": "BE", "lux": "LU", "irl": "IE",
    "dnk": "DK", "swe": "SE", "nor": "NO", "fin": "FI", "isl": "IS", "pol": "PL", "cze": "CZ", "czech republic": "CZ", "svk": "SK",
    "hun": "HU", "rou": "RO", "bgr": "BG", "grc": "GR", "tur": "TR", "turkey": "TR", "rus": "RU", "russian federation": "RU", "ukr": "UA",
    "can": "CA", "mex": "MX", "bra": "BR", "arg": "AR", "chl": "CL", "col": "CO", "per": "PE", "aus": "AU", "nzl": "NZ", "ind": "IN",
    "chn": "CN", "prc": "CN", "jpn": "JP", "kor": "KR", "republic of korea": "KR", "korea": "KR", "twn": "TW", "hkg": "HK", "sgp": "SG",
    "mys": "MY", "idn": "ID", "tha": "TH", "vnm": "VN", "phl": "PH", "isr": "IL", "are": "AE", "uae": "AE", "u a e": "AE", "sau": "SA",
    "egy": "EG", "zaf": "ZA", "nga": "NG", "ken": "KE", "pak": "PK", "bgd": "BD",
}  # fmt: skip


@remembered(1024)
def region_of(country: str) -> str | None:
    """Two letters of a country, whatever its language and case; None for an unknown one, or a name of several."""
    name = _folded(country)
    if len(name) == 2 and name.upper() in SUPPORTED_REGIONS:
        return name.upper()
    return _OTHERS.get(name) or _names().get(name)


@cache
def _names() -> dict[str, str]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for region, names in _locale_data().items():
        if region in SUPPORTED_REGIONS:
            for name in names.values():
                if not name.startswith("*"):  # the same as in another language
                    found[_folded(name)].add(region)
    return {name: regions.pop() for name, regions in found.items() if len(regions) == 1}


def _locale_data() -> dict[str, dict[str, str]]:
    """Names of regions by language. Read without its package, which would load the names of all towns: 180 MiB and seconds."""
    path = Path(phonenumbers.__file__).with_name("geodata") / "locale.py"
    spec = spec_from_file_location("phonenumbers.geodata.locale", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    names: dict[str, dict[str, str]] = module.LOCALE_DATA
    return names


def _folded(name: str) -> str:
    letters = (
        c if c.isalnum() else " "
        for c in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(c)
    )
    return " ".join("".join(letters).split())
