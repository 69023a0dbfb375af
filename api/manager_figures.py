"""The figures that a manager steers by, for the first page and the page of service quality: service, and money.

One look answers both pages and everybody of the same regions; `LookCache` remembers it where a fleet is large, so that
the first page stays fast. Figures only: words and pictures are the pages' business, and who may see money as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from starlette.requests import Request

from api.overview_cache import LookCache
from api.services import ApiServices
from crm_core.billing.page_money import PageMoney, page_money
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.ports import UnitOfWork
from crm_core.service_figures import ServiceFigures, ServiceQuality
from crm_core.stock.waste import CustomerWaste, total_loss, waste_by_customer


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyFigures:
    """What pages bring and cost, what was thrown away, and what is owed, in the firm's currency."""

    pages: PageMoney | None  # None: nothing was billed yet
    waste: tuple[CustomerWaste, ...]
    waste_by_month: tuple[Decimal, ...]  # of the months of the service figures, oldest first
    overdue: Decimal
    overdue_customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerFigures:
    """Service and money of one firm, or of some of its regions."""

    service: ServiceFigures
    money: MoneyFigures


def figures_of(request: Request) -> LookCache[ManagerFigures]:
    """Return the manager's figures of the application that serves this request."""
    figures: LookCache[ManagerFigures] = request.app.state.figures
    return figures


def manager_figures(services: ApiServices, tenant: TenantId, regions: Sequence[str]) -> ManagerFigures:
    """Return the figures of the last 90 days and of the last months in `regions` (empty = everywhere)."""
    quality = ServiceQuality(services.read_uow_factory, services.clock, services.policy)
    service = quality.figures(tenant, regions=regions)
    with services.read_uow_factory() as uow:
        return ManagerFigures(service=service, money=_money(services, uow, tenant, regions, service))


def _money(
    services: ApiServices,
    uow: UnitOfWork,
    tenant: TenantId,
    regions: Sequence[str],
    service: ServiceFigures,
) -> MoneyFigures:
    customers = _customers_in(uow, tenant, regions)
    devices = frozenset(
        bundle.device.device_id
        for bundle in uow.devices.bundles(tenant)
        if not regions or (bundle.site is not None and bundle.site.region in regions)
    )
    overdue = [
        sum(row.by_age[1:], Decimal(0))
        for row in services.money.accounts.ageing(tenant)
        if customers is None or row.customer_id in customers
    ]
    now = services.clock.now()

    def thrown_away(since: datetime, until: datetime) -> tuple[CustomerWaste, ...]:
        rows = waste_by_customer(uow, tenant, since, until)
        return tuple(row for row in rows if customers is None or row.customer_id in customers)

    zone = ZoneInfo(services.policy.sla.calendar.time_zone)
    starts = [datetime.combine(row.month, time.min, zone).astimezone(UTC) for row in service.months]
    return MoneyFigures(
        pages=page_money(uow, tenant, services.policy, customers=customers, devices=devices),
        waste=thrown_away(now - timedelta(days=service.days), now),
        waste_by_month=tuple(
            total_loss(thrown_away(start, end)).amount
            for start, end in zip(starts, [*starts[1:], now], strict=True)
        ),
        overdue=sum(overdue, Decimal(0)),
        overdue_customers=sum(owed > 0 for owed in overdue),
    )


def _customers_in(uow: UnitOfWork, tenant: TenantId, regions: Sequence[str]) -> frozenset[CustomerId] | None:
    """Return the customers with a site in `regions`; None without a limit."""
    if not regions:
        return None
    return frozenset(site.customer_id for site in uow.sites.all(tenant) if site.region in regions)
