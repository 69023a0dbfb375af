"""The business figures of contracts (`contracts` in `config/policy/agreements.yaml`) as a frozen type."""

from dataclasses import dataclass
from datetime import time
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TermDiscount:
    """A discount on the fixed rent for a term of at least so many months (requirement 86)."""

    name: str
    from_months: int
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTermPolicy:
    """Short rentals (requirement 102): a price a day, and one price for the weekend between two local times."""

    day_price: Decimal
    weekend_price: Decimal
    weekend_starts: tuple[int, time]  # weekday (Monday is 0) and local time
    weekend_ends: tuple[int, time]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractPolicy:
    """Contract money. Shares as fractions, amounts in yuan."""

    interest_per_day: Decimal
    dunning_days: tuple[int, ...]  # days overdue at which each level begins, rising
    termination_share: Decimal
    depreciation_months: int
    renewal_gift: str  # month_rent or upgrade
    term_discounts: tuple[TermDiscount, ...]
    short_term: ShortTermPolicy
