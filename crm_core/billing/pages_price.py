"""What pages cost: free pages with carry-over first, then a price, then steps. Pure, exact until the final cent.

Carried pages are used before those of the month, because they expire first (story 3 of product.md, corrected in 1.4:
10,000 free, 9,200 used, 800 carried; next month 11,500 used, 700 billed).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from crm_core.domain.billing import CarryBucket, PageTariff
from crm_core.domain.errors import InvalidValue
from crm_core.domain.money import to_cent


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePrice:
    """The price of a month's pages in one group and meter; `amount` is rounded half up to the cent."""

    pages: int
    free: int
    carried_in: int
    billed: int
    amount: Decimal
    carried_out: tuple[CarryBucket, ...]


def month_after(month: date, count: int = 1) -> date:
    """Return the first day of the month `count` months after the one of `month`."""
    place = month.year * 12 + month.month - 1 + count
    return date(place // 12, place % 12 + 1, 1)


def price_pages(
    pages: int,
    tariff: PageTariff,
    month: date,
    *,
    carried: Sequence[CarryBucket] = (),
    carry_over_months: int = 0,
    free_pages: int | None = None,
) -> PagePrice:
    """Return the price of `pages` (>= 0) in `month`; `free_pages` replaces the tariff's for a part of a month."""
    if pages < 0:
        raise InvalidValue("usage is never negative")
    own = tariff.free_pages if free_pages is None else free_pages
    serving = sorted((row for row in carried if row.last_month >= month), key=lambda row: row.last_month)
    carried_in = sum(row.pages for row in serving)
    buckets = [*serving, CarryBucket(pages=own, last_month=month_after(month, carry_over_months))]
    left, carried_out = pages, []
    for bucket in buckets:
        used = min(left, bucket.pages)
        left -= used
        if bucket.pages > used and bucket.last_month > month:
            carried_out.append(CarryBucket(pages=bucket.pages - used, last_month=bucket.last_month))
    return PagePrice(
        pages=pages,
        free=own,
        carried_in=carried_in,
        billed=left,
        amount=to_cent(stepped(left, tariff)),
        carried_out=tuple(carried_out),
    )


def stepped(pages: int, tariff: PageTariff) -> Decimal:
    """Return the exact price of pages beyond the free ones: each page at the price of the step that it lies in."""
    amount, done, price = Decimal(0), 0, tariff.price
    for step in sorted(tariff.steps, key=lambda row: row.from_page):
        until = min(pages, step.from_page - 1)
        if until > done:
            amount += (until - done) * price
            done = until
        price = step.price
    return amount + (pages - done) * price
