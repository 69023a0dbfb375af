"""The fault code book: what a code from a printer means, who can help, and where that knowledge comes from.

A code is looked up by scheme (prtAlertCode, hrPrinterDetectedErrorState, ipp-printer-state-reasons, vendor). The most
exact row wins: exact before range before pattern before the longest prefix; a row of the asked vendor before one of no vendor.
Codes in panel or alert texts are found by the vendor's own patterns, never by those of another vendor.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from crm_core.domain.catalogue import FaultCode
from crm_core.domain.service import TicketLevel

PRT_ALERT_CODE: Final = "prtAlertCode"
ERROR_STATE: Final = "hrPrinterDetectedErrorState"
IPP_REASON: Final = "ipp-printer-state-reasons"
VENDOR: Final = "vendor"

#: prtAlertSeverityLevel
CRITICAL: Final = 3
BINARY_CHANGE: Final = 5

#: Base codes whose meaning depends on the unit that reports them, by prtAlertGroup (RFC 3805, PrtAlertGroupTC).
_GROUP_DECIDES: Final = frozenset({"9", "10", "11", "12", "13", "14", "15", "16", "17", "30"})
#: Too cold: what every sleeping fuser is.
_COLD: Final = frozenset({"35", "1001"})
_PAPER_GROUPS: Final = frozenset({8, 9})  # input, output
_SUPPLY_GROUP: Final = 11
_ENGINE_GROUPS: Final = frozenset({10, 13})  # marker, media path

_MAX_TEXT: Final = 512
_MAX_CODE: Final = 64


class FaultCodeBook:
    """Fault codes by scheme, code and vendor; immutable after construction and safe to share between threads.

    `patterns` are (vendor, regular expression) pairs: how codes of that vendor look in a text. A vendor field may name
    several vendors, separated by " / ".
    """

    def __init__(self, rows: Iterable[FaultCode], patterns: Iterable[tuple[str, str]] = ()) -> None:
        self._rows = tuple(rows)
        self._exact: dict[tuple[str, str], list[FaultCode]] = {}
        self._ranges: dict[str, list[tuple[int, int, FaultCode]]] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], FaultCode]]] = {}
        self._prefixes: dict[str, list[FaultCode]] = {}
        self._texts: list[tuple[re.Pattern[str], FaultCode]] = []
        for row in self._rows:
            self._index(row)
        for prefixes in self._prefixes.values():
            prefixes.sort(key=lambda row: -len(row.code))
        self._vendor_patterns = [
            (_vendor_names(vendor), re.compile(pattern, re.IGNORECASE)) for vendor, pattern in patterns
        ]

    @property
    def rows(self) -> tuple[FaultCode, ...]:
        return self._rows

    def _index(self, row: FaultCode) -> None:
        match row.match:
            case "exact":
                self._exact.setdefault((row.scheme, row.code.upper()), []).append(row)
            case "range":
                low, _, high = row.code.partition("-")
                self._ranges.setdefault(row.scheme, []).append((int(low), int(high), row))
            case "prefix":
                self._prefixes.setdefault(row.scheme, []).append(row)
            case "text":
                self._texts.append((re.compile(re.escape(row.code), re.IGNORECASE), row))
            case _:
                compiled = re.compile(_as_regex(row), re.IGNORECASE)
                self._patterns.setdefault(row.scheme, []).append((compiled, row))
                if row.match == "regex":
                    self._texts.append((compiled, row))

    def find(self, scheme: str, code: str, vendor: str | None = None) -> FaultCode | None:
        """Return the row for a code, or None when the book does not know it. Vendor codes need the vendor."""
        wanted = code.strip()[:_MAX_CODE]
        if not wanted:
            return None
        hits = self._exact.get((scheme, wanted.upper()), [])
        if wanted.isascii() and wanted.isdigit():
            number = int(wanted)
            hits = hits + [row for low, high, row in self._ranges.get(scheme, ()) if low <= number <= high]
        hits = hits + [row for pattern, row in self._patterns.get(scheme, ()) if pattern.fullmatch(wanted)]
        upper = wanted.upper()
        hits = hits + [row for row in self._prefixes.get(scheme, ()) if upper.startswith(row.code.upper())]
        return self._with_base_code(_best(hits, scheme, vendor), wanted)

    def _with_base_code(self, row: FaultCode | None, code: str) -> FaultCode | None:
        """Return a finisher family's row with category, level and texts of its base code (RFC 3806: device x 100 + base)."""
        if row is None or row.match != "range" or row.scheme != PRT_ALERT_CODE:
            return row
        base = self.find(PRT_ALERT_CODE, str(int(code) % 100))
        if base is None:
            return row
        return replace(base, code=code, name=f"{row.name} {base.name}", source=row.source, note=row.note)

    def for_alert(
        self, code: int | None, *, severity: int | None, group: int | None = None
    ) -> FaultCode | None:
        """Return what a row of prtAlertTable means, its base code read together with the group that it stands in.

        None for no code, for illegal severities (0: informational on real devices) and for a fuser that is merely cold:
        two real Kyocera walks report 1001 at warningBinaryChangeEvent(5) while asleep, so cold counts when critical(3).
        """
        if code is None or code <= 0 or severity == 0:
            return None
        row = self.find(PRT_ALERT_CODE, str(code))
        if row is None:
            return None
        if row.code in _COLD and severity != CRITICAL:
            return None
        if row.category == "fuser_heat" and severity == BINARY_CHANGE:
            return None
        return _by_group(row, group)

    def find_text(self, text: str, vendor: str | None) -> FaultCode | None:
        """Return the longest text row of the vendor that stands in an alert or panel text, or None."""
        if not text or vendor is None:
            return None
        hits = [
            row
            for pattern, row in self._texts
            if vendor.lower() in _vendor_names(row.vendor) and pattern.search(text[:_MAX_TEXT])
        ]
        return max(hits, key=lambda row: len(row.code)) if hits else None

    def codes_in(self, text: str, vendor: str | None) -> tuple[str, ...]:
        """Return the vendor codes that stand in a text, each once, in order; none for a vendor without patterns."""
        if not text or vendor is None:
            return ()
        name, found = vendor.lower(), dict[str, None]()
        for vendors, pattern in self._vendor_patterns:
            if name in vendors:
                for hit in pattern.finditer(text[:_MAX_TEXT]):
                    found[_code_of(hit)] = None
        return tuple(found)


def _by_group(row: FaultCode, group: int | None) -> FaultCode:
    """Return the row as it reads in its group: an empty tray is paper, an empty cartridge a consumable, an engine a fault."""
    if row.code not in _GROUP_DECIDES or row.scheme != PRT_ALERT_CODE:
        return row
    if group in _PAPER_GROUPS and row.code != "30":
        return replace(row, category="paper", level=TicketLevel.L1, component=None)
    if group == _SUPPLY_GROUP and row.code != "30":
        return replace(row, category="consumable", level=TicketLevel.L2)
    if group in _ENGINE_GROUPS and row.code in {"9", "30"}:
        return replace(
            row, category="mechanical", level=TicketLevel.L3 if row.code == "30" else TicketLevel.L1
        )
    return row


def _best(hits: Sequence[FaultCode], scheme: str, vendor: str | None) -> FaultCode | None:
    """Return the first hit that fits the vendor: the vendor's own row, else one of no vendor."""
    if vendor is not None:
        for row in hits:
            if vendor.lower() in _vendor_names(row.vendor):
                return row
    for row in hits:
        if row.vendor is None and scheme != VENDOR:
            return row
    return None


@lru_cache(maxsize=256)
def _vendor_names(vendor: str | None) -> frozenset[str]:
    """Return the names in a vendor field, in lower case."""
    return frozenset(part.strip().lower() for part in (vendor or "").split("/") if part.strip())


def _as_regex(row: FaultCode) -> str:
    """Return the regular expression of a pattern row (x and y stand for a digit) or of a regex row."""
    if row.match == "regex":
        return row.code
    return "".join(r"\d" if letter in "xy" else re.escape(letter) for letter in row.code)


def _code_of(hit: re.Match[str]) -> str:
    """Return the code of a hit: groups joined with '-' (SC 542-03), upper case; Ricoh's SC stays in front."""
    groups = [group for group in hit.groups() if group]
    code = "-".join(groups) if groups else hit.group(0)
    if hit.group(0).upper().startswith("SC") and not code.upper().startswith("SC"):
        code = f"SC{code}"
    return code.upper()
