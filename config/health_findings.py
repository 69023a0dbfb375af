"""What a look over an installation says: one finding for each thing, with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do, empty when nothing is to be done."""

    check: str
    verdict: Verdict
    what: str
    advice: str = ""
