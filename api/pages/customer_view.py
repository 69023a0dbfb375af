"""Customers with what stands at their sites and what is open there."""

from collections.abc import Mapping
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
from crm_core.fleet_census import CustomerHealth, HealthBand
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
    health: Mapping[str, CustomerHealth], uow: UnitOfWork, principal: Principal, words: Words, today: date
) -> dict[str, Any]:
    """Return the customers in sight, those with most trouble first; the mark is their badge (79)."""
    ends: dict[str, date] = {}
    for contract in uow.contracts.all(principal.tenant):
        if contract.customer_id in health and contract.ends_on >= today:
            ends[contract.customer_id] = min(ends.get(contract.customer_id, date.max), contract.ends_on)
    rows = [
        _row(customer, health.get(customer.customer_id), ends.get(customer.customer_id), words, today)
        for customer in customers_in_sight(principal, uow)
    ]
    return {
        "rows": sorted(rows, key=lambda row: (-row.open_tickets, row.customer.name)),
        "marks": marks_of(uow, principal),
    }


def _row(
    customer: Customer, found: CustomerHealth | None, ends_on: date | None, words: Words, today: date
) -> CustomerRow:
    """Return one customer; leads have no device yet."""
    counts: Mapping[HealthBand, int] = found.bands if found else {}
    shown = {band: counts.get(band, 0) for band in HealthBand}
    title = ", ".join(f"{words.t(f'band.{band.value}')} {count}" for band, count in shown.items() if count)
    return CustomerRow(
        customer=customer,
        tier=words.term("tier", customer.tier.value),
        devices=found.devices if found else 0,
        open_tickets=found.open_tickets if found else 0,
        silent=found.silent if found else 0,
        bands=charts.shares([(TONES[band], count) for band, count in shown.items()], title),
        contract_ends=ends_on,
        ends_soon=ends_on is not None and (ends_on - today).days <= 90,
    )
