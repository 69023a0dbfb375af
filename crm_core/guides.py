"""Which guide a caller or technician follows: message keys of `config/locales/*/guide.toml`, step by step."""

from collections.abc import Iterable, Mapping
from typing import Final

from crm_core.domain.service import Ticket

#: Steps of each guide; the texts are `guide.<name>.<step>` and a test checks that each exists in both languages.
GUIDE_STEPS: Final[Mapping[str, int]] = {
    "jam": 4,
    "cover": 3,
    "paper": 3,
    "network": 4,
    "silence": 4,
    "consumable": 4,
    "part": 3,
    "failure_risk": 3,
    "replacement": 3,
    "hardware": 4,
    "campaign": 3,
    "shelf": 3,
    "reported": 2,
    "care": 4,
}
_HARDWARE: Final = frozenset({"mechanical", "electronic", "fuser_heat", "laser_scan", "sensor", "firmware"})


def guide_of(ticket: Ticket) -> str:
    """Return the name of the guide for a ticket."""
    if ticket.category in _HARDWARE:
        return "hardware"
    return ticket.category if ticket.category in GUIDE_STEPS else "reported"


def guide_keys(tickets: Iterable[Ticket]) -> tuple[str, ...]:
    """Return the message keys of all steps for the tickets of one job, each guide once."""
    names = dict.fromkeys(guide_of(ticket) for ticket in tickets)
    return tuple(f"guide.{name}.{step}" for name in names for step in range(1, GUIDE_STEPS[name] + 1))
