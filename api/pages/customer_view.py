"""Customers with what stands at their sites and what is open there."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from api.access import Principal
from api.pages import charts
from api.pages.fleet_view import TONES
from api.pages.marks import marks_of
from api.pages.supply_view import Words
from api.routes.customers import customers_in_sight
from crm_core.domain.fleet import Customer
from crm_core.fleet_health import DeviceHealth, HealthBand
from crm_core.ports import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow:
    """One customer in the list."""

    customer: Customer
    tier: str
    devices: int
    open_tickets: int
    silent: int
    bands: Markup
    contract_ends: date | None
    ends_soon: bool


def customers_context(
    health: tuple[DeviceHealth, ...], uow: UnitOfWork, principal: Principal, words: Words, today: date
) -> dict[str, Any]:
    """Return the customers in sight, those with most trouble first; the mark is their badge (79)."""
    by_customer: dict[str, list[DeviceHealth]] = {}
    for row in health:
        if row.bundle.customer is not None:
            by_customer.setdefault(row.bundle.customer.customer_id, []).append(row)
    ends: dict[str, date] = {}
    for contract in uow.contracts.all(principal.tenant):
        if contract.customer_id in by_customer and contract.ends_on >= today:
            ends[contract.customer_id] = min(ends.get(contract.customer_id, date.max), contract.ends_on)
    rows = []
    for key, found in by_customer.items():
        customer = found[0].bundle.customer
        if customer is not None:
            rows.append(_row(customer, found, ends.get(key), words, today))
    rows += [
        _row(customer, [], ends.get(customer.customer_id), words, today)
        for customer in customers_in_sight(principal, uow)
        if customer.customer_id not in by_customer
    ]
    return {
        "rows": sorted(rows, key=lambda row: (-row.open_tickets, row.customer.name)),
        "marks": marks_of(uow, principal),
    }


def _row(
    customer: Customer, found: list[DeviceHealth], ends_on: date | None, words: Words, today: date
) -> CustomerRow:
    """Return one customer; leads have no device yet."""
    counts = Counter(row.band for row in found)
    title = ", ".join(
        f"{words.t(f'band.{band.value}')} {counts[band]}" for band in HealthBand if counts[band]
    )
    return CustomerRow(
        customer=customer,
        tier=words.term("tier", customer.tier.value),
        devices=len(found),
        open_tickets=sum(row.open_tickets for row in found),
        silent=sum(row.silent for row in found),
        bands=charts.shares([(TONES[band], counts[band]) for band in HealthBand], title),
        contract_ends=ends_on,
        ends_soon=ends_on is not None and (ends_on - today).days <= 90,
    )
