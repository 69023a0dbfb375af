"""Compares readings with the facts of recordings: what is right, what differs, what was invented."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: How many facts the 41 development recordings hold.
FACTS_OF_ALL = {
    "supplies": 124, "trays": 38, "alerts": 7, "errors": 12, "identity": 61, "vendor": 3, "nothing stated": 13,
    "counters": 51, "status": 32, "covers": 13, "vendor_status": 79,
}  # fmt: skip
_COUNTERS = ("prtMarkerLifeCount", "prtMarkerCounterUnit", "prtMarkerPowerOnCount", "vendor")
_NOT_OF_THE_DEVICE = {"cls_from"}


@dataclass
class Score:
    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    differences: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    inventions: list[tuple[str, str, Any]] = field(default_factory=list)

    def compare(self, name: str, facts: dict[str, Any], reading: dict[str, Any]) -> None:
        self._identity(name, facts.get("identity", {}), reading["identity"])
        for part in ("supplies", "trays", "alerts"):
            self._rows(name, part, facts.get(part, []), {row["index"]: row for row in reading[part]})
        self._covers(name, facts.get("covers", {}), reading["covers"])
        self._status(name, facts.get("status") or {}, reading["status"])
        self._counters(name, facts.get("counters") or {}, reading["counters"])
        wanted, got = facts.get("vendor_status", {}), reading["vendor_status"]
        for key, value in wanted.items():
            self._same(name, "vendor_status", key, value, got.get(key))
        self.inventions += [(name, f"vendor_status.{key}", got[key]) for key in got.keys() - wanted.keys()]

    def _same(self, name: str, part: str, key: str, wanted: Any, got: Any) -> None:
        self.asked[part] += 1
        if wanted == got:
            self.right[part] += 1
        else:
            self.differences.append((name, f"{part}.{key}", wanted, got))
            if wanted is None:
                self.inventions.append((name, f"{part}.{key}", got))

    def _identity(self, name: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
        for key, value in wanted.items():
            if key == "note":
                continue
            part = "vendor" if key == "vendor" else "identity" if value is not None else "nothing stated"
            self._same(name, part, key, value, got.get(key))

    def _rows(self, name: str, part: str, wanted: list[dict[str, Any]], got: dict[str, Any]) -> None:
        for row in wanted:
            ours = got.pop(row["index"], {})
            keys = row.keys() - _NOT_OF_THE_DEVICE
            expected, actual = {key: row[key] for key in keys}, {key: ours.get(key) for key in keys}
            self._same(name, part, row["index"], expected, actual)
            self.inventions += [
                (name, f"{part}.{row['index']}.{key}", actual[key])
                for key in keys
                if expected[key] is None and actual[key] is not None
            ]
        self.inventions += [(name, f"{part}.{index}", row) for index, row in got.items()]

    def _covers(self, name: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
        for index, cover in wanted.items():
            self._same(name, "covers", index, cover, got.get(index))
        self.inventions += [(name, f"covers.{index}", got[index]) for index in got.keys() - wanted.keys()]

    def _status(self, name: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
        for key, value in wanted.items():
            self._same(name, "errors" if key == "errors" else "status", key, value, got.get(key))
        self.inventions += [
            (name, f"status.{key}", got[key]) for key in got.keys() - wanted.keys() if got[key]
        ]

    def _counters(self, name: str, wanted: dict[str, Any], got: dict[str, Any]) -> None:
        for group in _COUNTERS:
            for key, value in wanted.get(group, {}).items():
                self._same(name, "counters", f"{group}.{key}", value, got[group].get(key))
        for group in _COUNTERS[:3]:
            extra = got[group].keys() - wanted.get(group, {}).keys()
            self.inventions += [(name, f"counters.{group}.{key}", got[group][key]) for key in extra]
