"""The business figures of stock (`config/policy/stock.yaml`) as a frozen type."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum


class ShelfHint(StrEnum):
    """When people at the site are told to use the cartridge on their shelf."""

    NEVER = "never"
    WHEN_EMPTY = "when_empty"  # the machine stands still for want of it
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPolicy:
    """How swaps of cartridges are recognised; percents and points are of a full cartridge."""

    sure_rise: float  # points that no gauge rises by itself
    small_jump: float  # points from which a jump may be a part-used cartridge
    match_within: float  # points between the residual of one and the first level of the same one put back
    new_from: float  # percent from which a cartridge counts as new
    early_above: float  # percent left above which a swap was early
    quiet_looks: int  # looks without the complaint of a gauge that gives no number
    quiet_pages: int  # ... and pages printed meanwhile
    around_visit: timedelta  # a swap so long before or after a visit is the technician's
    remembered: timedelta  # how long a cartridge that came out may be put back


@dataclass(frozen=True, slots=True, kw_only=True)
class RentCreditPolicy:
    """What a long repair is worth (requirement 25): the rent of the days beyond the free ones."""

    free_days: Decimal
    months_a_year: Decimal
    days_a_year: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPolicy:
    """Stock: where cartridges, parts and stand-by machines are, and how they got there."""

    swaps: SwapPolicy
    consolidate_at_days_left: float
    tickets_per_visit: int  # deliveries of one site that one visit carries
    shelf_hint: ShelfHint
    loan_distance_km: float
    loan_decide_after: timedelta
    rent_credit: RentCreditPolicy
