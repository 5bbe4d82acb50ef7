"""The encodings that a file can have, by the names under which they are asked for and told."""

import codecs
from typing import NamedTuple

UTF_8 = "utf-8"
WINDOWS_1252 = "windows-1252"

# By the name that Python has for it.
_NAMES = {
    "utf-8": UTF_8,
    "utf-8-sig": UTF_8,
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32",
    **{f"cp{number}": f"windows-{number}" for number in range(1250, 1259)},
    **{f"iso8859-{number}": f"iso-8859-{number}" for number in (*range(1, 12), *range(13, 17))},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "mac-roman": "macintosh",
    "cp437": "ibm437",
    "cp850": "ibm850",
    "cp932": "windows-31j",
    "shift_jis": "shift_jis",
    "euc_jp": "euc-jp",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "cp949": "windows-949",
    "euc_kr": "euc-kr",
}
_CODECS = {name: codec for codec, name in reversed(_NAMES.items())}


class Encoding(NamedTuple):
    """How a file is read.

    Args:
        name: what `known` gave.
        settled: False: nothing but ASCII and valid UTF-8 was seen so far; the first other byte decides.
        mixed: valid UTF-8 is taken as that all the same. All that was read before the decision is the same then.
    """

    name: str
    settled: bool = True
    mixed: bool = False


def known(name: str) -> str:
    """The name of an encoding in any usual spelling, such as `UTF8`, `latin1` or `cp1252`.

    Raises:
        ValueError: there is none of this name; lists those that there are.
    """
    try:
        return _NAMES[codecs.lookup(name.strip()).name]
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is not an encoding that can be read; there are {', '.join(_CODECS)}") from None


def codec(name: str) -> str:
    """What Python calls it."""
    return _CODECS[name]
