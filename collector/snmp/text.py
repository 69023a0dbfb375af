"""Printer strings as text: devices mix IANA character sets, padding, NULs and tool artefacts, and people must read them.

Order of trust (facts of 12 Brother and 25 other recordings): valid UTF-8 beyond ASCII, then the character set that
prtLocalizationCharacterSet names (IANA MIBenum), then Latin-1, which never fails.
"""

import re
from functools import lru_cache
from typing import Final

MAX_TEXT: Final = 512
_SHORT: Final = 64

#: IANA MIBenum -> Python codec (https://www.iana.org/assignments/character-sets).
IANA_CODECS: Final[dict[int, str]] = {
    3: "ascii", 4: "latin-1", 5: "iso8859-2", 6: "iso8859-3", 7: "iso8859-4", 8: "iso8859-5", 9: "iso8859-6",
    10: "iso8859-7", 11: "iso8859-8", 12: "iso8859-9", 13: "iso8859-10", 17: "shift_jis", 18: "euc_jp",
    36: "euc_kr", 38: "euc_kr", 106: "utf-8", 109: "iso8859-13", 110: "iso8859-14", 111: "iso8859-15",
    113: "gbk", 114: "gb18030", 1000: "utf-16-be", 1013: "utf-16-be", 1014: "utf-16-le", 1015: "utf-16",
    2004: "hp-roman8", 2009: "cp850", 2010: "cp852", 2011: "cp437", 2024: "cp932", 2025: "gb2312", 2026: "big5",
    2084: "koi8-r", 2086: "cp866", 2088: "koi8-u", 2250: "cp1250", 2251: "cp1251", 2252: "cp1252", 2253: "cp1253",
    2254: "cp1254", 2255: "cp1255", 2256: "cp1256", 2257: "cp1257", 2258: "cp1258", 2259: "tis-620",
}  # fmt: skip

_TWO_OCTETS: Final = frozenset({1000, 1013, 1014, 1015})  # UCS-2 and UTF-16: NULs belong to the text
_PML_ROMAN8: Final = b"\x01\x15"  # HP PML strings begin with a symbol set; 0x0115 is Roman-8
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_HEX_TAIL: Final = re.compile(r"^([^\n]*)\n((?:[0-9A-Fa-f]{2}[ \n]+)*[0-9A-Fa-f]{2}[ \n\x00]*)$")


def decode_text(raw: bytes | str, charset: int | None = None) -> str:
    """Return the text of an OCTET STRING: decoded, without NULs and padding, at most `MAX_TEXT` characters."""
    if isinstance(raw, str):
        return clean_text(raw)
    return _decode_short(raw, charset) if len(raw) <= _SHORT else _decode(raw, charset)


def _decode(raw: bytes, charset: int | None) -> str:
    body = raw[: 4 * MAX_TEXT]
    if body.startswith(_PML_ROMAN8):
        body, charset = body[2:], 2004
    body = body.rstrip(b"\x00 \t\r\n") if charset not in _TWO_OCTETS else body
    if body.isascii() and charset not in _TWO_OCTETS:
        return clean_text(_joined(body.decode("ascii")))
    return clean_text(_joined(_decoded(body, charset)))


_decode_short = lru_cache(maxsize=16_384)(_decode)  # names and states repeat over a fleet


def clean_text(text: str) -> str:
    """Return text without control characters and outer blanks, cut to `MAX_TEXT` characters."""
    return _CONTROL.sub(" ", text.strip("\x00 \t\r\n")).strip()[:MAX_TEXT]


def fold_blanks(text: str) -> str:
    """Return text with runs of blanks as one blank."""
    return " ".join(text.split())


def _decoded(body: bytes, charset: int | None) -> str:
    """Decode by UTF-8 if it is valid, else by the named character set, else as Latin-1."""
    named = IANA_CODECS.get(charset or 0, "latin-1")
    for codec in (named, "latin-1") if charset in _TWO_OCTETS else ("utf-8", named, "latin-1"):
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1")  # not reached: Latin-1 decodes every byte


def _joined(text: str) -> str:
    """Join what a text walk broke: net-snmp prints a string with control bytes as text, a new line, then the rest in hex."""
    found = _HEX_TAIL.match(text)
    if found is None:
        return text
    tail = bytes.fromhex(found.group(2).replace("\x00", " "))
    return found.group(1) + _decoded(tail.rstrip(b"\x00"), None)
