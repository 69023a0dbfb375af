"""The business figures of fieldwork (`config/policy/fieldwork.yaml`) as a frozen type."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldworkPolicy:
    """Evidence of visits, estimates and regular care."""

    usual_item: str  # of the price list, for a visit that names none (61)
    test_pages: int  # without a jam, seen by telemetry, before an installation closes (requirement 20)
    photos_most: int  # at one work order
    photo_bytes_most: int
    similar_least: int  # so many past repairs of a kind make an estimate; else the price list does (62)
    similar_within: timedelta
    list_spread: Decimal  # share below and above the list price when there are too few
    care_pages: int  # regular care by pages ... (112)
    care_days: int  # ... or days, whichever comes first
    granted_at_once: frozenset[str]  # kinds of absences that need nobody's word when technicians report them
    ordered_within: dict[str, timedelta]  # by kind: when a visit that somebody ordered without a day is due
    pull_share: Decimal  # care that has used so much of its plan goes along with the next visit of the site
