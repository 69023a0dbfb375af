"""Billing plans and packages: published in editions, never changed once a contract uses them."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from crm_core.domain.billing import BillingPlan, PageTariff
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import TenantId, checked_identifier
from crm_core.ports import UnitOfWork, UnitOfWorkFactory

_PLACES: Final = -4  # prices have at most four decimals
_MOST: Final = Decimal(10**7)


class PlanDesk:
    """Keeps billing plans."""

    def __init__(self, uow_factory: UnitOfWorkFactory) -> None:
        self._uow_factory = uow_factory

    def publish(self, plan: BillingPlan) -> BillingPlan:
        """Add an edition, or replace one that no contract uses yet; `Conflict` for one in use, `InvalidValue` for prices."""
        checked_identifier(plan.plan_id, "plan id")
        check_plan(plan)
        with self._uow_factory() as uow:
            known = find_plan(uow, plan.tenant, plan.plan_id, plan.edition)
            if known is None:
                saved = uow.billing.plans.add(replace(plan, used=False))
            elif replace(plan, plan_row=known.plan_row, used=known.used, version=known.version) == known:
                saved = known
            elif known.used:
                raise Conflict(
                    f"plan {plan.plan_id} edition {plan.edition} is used by a contract; publish edition {plan.edition + 1}"
                )
            else:
                changed = replace(plan, plan_row=known.plan_row, used=False, version=known.version)
                saved = uow.billing.plans.save(changed)
            uow.commit()
        return saved

    def plans(self, tenant: TenantId) -> list[BillingPlan]:
        """Return all editions, by plan and edition."""
        with self._uow_factory() as uow:
            rows = uow.billing.plans.where(tenant)
        return sorted(rows, key=lambda row: (row.plan_id, row.edition))


def find_plan(uow: UnitOfWork, tenant: TenantId, plan_id: str, edition: int) -> BillingPlan | None:
    """Return an edition of a plan, or None."""
    return next(iter(uow.billing.plans.where(tenant, plan_id=plan_id, edition=edition)), None)


def get_plan(uow: UnitOfWork, tenant: TenantId, plan_id: str, edition: int) -> BillingPlan:
    """Return an edition of a plan, or raise `NotFound`."""
    plan = find_plan(uow, tenant, plan_id, edition)
    if plan is None:
        raise NotFound(f"there is no billing plan {plan_id!r} edition {edition}; publish it first")
    return plan


def use_plan(uow: UnitOfWork, plan: BillingPlan) -> None:
    """Note that a contract uses the edition: it never changes again."""
    if not plan.used:
        uow.billing.plans.save(replace(plan, used=True))


def check_plan(plan: BillingPlan) -> None:
    """Raise `InvalidValue` for prices that cannot be billed."""
    if plan.edition < 1:
        raise InvalidValue("editions of a plan count from 1")
    if not plan.name.strip():
        raise InvalidValue("a plan needs a name")
    if not 0 <= plan.carry_over_months <= 60:
        raise InvalidValue("carry-over is 0 to 60 months")
    check_price(plan.monthly_rent, "the monthly rent")
    for tariff in (plan.mono, plan.colour):
        _check_tariff(tariff)


def check_price(price: Decimal, what: str) -> None:
    """Raise `InvalidValue` unless the price is 0 to ten millions with at most four decimals."""
    exponent = price.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _PLACES or not 0 <= price <= _MOST:
        raise InvalidValue(f"{what} must be 0 to {_MOST} with at most 4 decimals")


def _check_tariff(tariff: PageTariff) -> None:
    check_price(tariff.price, "the price of a page")
    if tariff.free_pages < 0:
        raise InvalidValue("free pages count from 0")
    pages = [step.from_page for step in tariff.steps]
    if pages != sorted(set(pages)) or any(page < 2 for page in pages):
        raise InvalidValue("steps must rise and begin at page 2 or later")
    for step in tariff.steps:
        check_price(step.price, "the price of a step")
