"""Which months an invoice covers, and what share of a month a contract ran. Pure."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from crm_core.billing.pages_price import month_after
from crm_core.domain.contracts import Agreement


@dataclass(frozen=True, slots=True)
class MonthPart:
    """The days of a calendar month that a contract ran: first and last (included), and their share of the month."""

    month: date
    first: date
    last: date

    @property
    def share(self) -> Fraction:
        """Days over the days of the month."""
        return Fraction((self.last - self.first).days + 1, monthrange(self.month.year, self.month.month)[1])

    @property
    def whole(self) -> bool:
        """True if the contract ran the whole month."""
        return self.share == 1


def month_part(agreement: Agreement, month: date) -> MonthPart | None:
    """Return the days of `month` (its first day) in which the agreement ran, or None."""
    first = max(agreement.terms[0].starts_on, month)
    last = min(agreement.last_day, month_after(month) - timedelta(days=1))
    return MonthPart(month, first, last) if first <= last else None


def months_due(agreement: Agreement, month: date, billed_until: date | None) -> list[MonthPart]:
    """Return the months that an invoice written after `month` covers, oldest first; empty when none is due.

    A payment cycle of several months is billed when it is complete or the contract ends (requirement 19); what is
    billed already never comes again, and nothing older than one cycle is fetched up.
    """
    part = month_part(agreement, month)
    if part is None:
        return []
    cycle = agreement.terms_on(part.last).payment_cycle_months
    start = agreement.terms[0].starts_on
    place = (month.year - start.year) * 12 + month.month - start.month
    if (place + 1) % cycle and agreement.last_day > part.last:
        return []
    reached = [month_after(month, -back) for back in range(cycle - 1, -1, -1)]
    parts = [month_part(agreement, each) for each in reached if billed_until is None or each > billed_until]
    return [each for each in parts if each is not None]
