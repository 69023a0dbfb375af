"""What a new agreement is made of, what its terms must be, and what the service side knows of it."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Final

from crm_core.agreements.contract_money import deposit_of, term_discount_of
from crm_core.agreements.price_changes import PlanOf, rent_of
from crm_core.billing.plans import check_price, get_plan
from crm_core.domain.contracts import ContractLine, PagePool, Terms
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import Contract
from crm_core.domain.identity import ContractId, CustomerId, TenantId
from crm_core.domain.money import Money
from crm_core.domain.policy import PolicyBook
from crm_core.ports import UnitOfWork

_FIRST_DAY: Final = date(1990, 1, 1)
_LAST_DAY: Final = date(2200, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new agreement is made of. Deposit share and payment cycle come from the credit assessment (11, 17-19)."""

    contract_id: ContractId
    customer_id: CustomerId
    starts_on: date
    ends_on: date
    lines: tuple[ContractLine, ...]
    pools: tuple[PagePool, ...] = ()
    deposit_share: Decimal
    payment_cycle_months: int = 1
    assessment_id: str | None = None
    missing: tuple[str, ...] = ()
    on_site_hours: int | None = None
    clauses: tuple[str, ...] = ()
    template: str = "rental"
    template_version: str = "1"


def terms_of(draft: Draft, policy: PolicyBook) -> Terms:
    """Return the first version of the terms, with deposit and discount by the figures in force."""
    value = sum((line.device_value for line in draft.lines), Decimal(0))
    return Terms(
        version=1,
        effective_on=draft.starts_on,
        starts_on=draft.starts_on,
        ends_on=draft.ends_on,
        lines=draft.lines,
        pools=draft.pools,
        payment_cycle_months=draft.payment_cycle_months,
        payment_days=policy.billing.payment_days,
        deposit_share=draft.deposit_share,
        deposit=deposit_of(value, draft.deposit_share),
        term_discount=term_discount_of(draft.starts_on, draft.ends_on, policy.agreements.contracts),
        template=draft.template,
        template_version=draft.template_version,
        clauses=draft.clauses,
        policy_version=policy.version,
    )


def check_terms(uow: UnitOfWork, tenant: TenantId, terms: Terms) -> None:
    """Refuse terms whose lines, pools, prices or span cannot be (`InvalidValue`), or whose plans are absent (`NotFound`)."""
    ids = [line.line_id for line in terms.lines]
    check_span(terms.starts_on, terms.ends_on)
    if not ids or len(ids) != len(set(ids)):
        raise InvalidValue("a contract needs lines with ids of their own")
    if terms.payment_cycle_months not in (1, 3, 6, 12):
        raise InvalidValue("the payment cycle is 1, 3, 6 or 12 months")
    pools = {pool.pool_id for pool in terms.pools}
    for pool in terms.pools:
        get_plan(uow, tenant, pool.plan_id, pool.plan_edition)
    for line in terms.lines:
        get_plan(uow, tenant, line.plan_id, line.plan_edition)
        check_price(line.device_value, "the device value")
        if line.monthly_rent is not None:
            check_price(line.monthly_rent, "the monthly rent")
        if line.pool_id is not None and line.pool_id not in pools:
            raise InvalidValue(
                f"line {line.line_id} names pool {line.pool_id}, which the contract does not have"
            )


def keep_contract(
    uow: UnitOfWork,
    tenant: TenantId,
    contract_id: ContractId,
    customer_id: CustomerId,
    terms: Terms,
    on_site_hours: int | None,
    *,
    known: bool = False,
) -> None:
    """Keep what the service side knows of the contract: period, rent of all lines, promised arrival."""
    present = uow.contracts.find(tenant, contract_id)
    if present is not None and present.customer_id != customer_id:
        raise Conflict(f"contract {contract_id} belongs to {present.customer_id}")
    if present is not None and not known and on_site_hours is None:
        on_site_hours = present.on_site_hours
    plan_of = plans_of(uow, tenant)
    rent = sum((rent_of(line, plan_of) for line in terms.lines), Decimal(0))
    changes = {
        "starts_on": terms.starts_on,
        "ends_on": terms.ends_on,
        "monthly_rent": Money(rent),
        "on_site_hours": on_site_hours,
    }
    base = present or Contract(
        tenant=tenant,
        contract_id=contract_id,
        customer_id=customer_id,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        monthly_rent=Money(rent),
    )
    uow.contracts.save(replace(base, **changes))  # type: ignore[arg-type]  # fields of Contract by name


def check_span(starts_on: date, ends_on: date) -> None:
    """Refuse a term that ends before it starts or lies outside the calendar of the firm."""
    if not _FIRST_DAY <= starts_on <= ends_on <= _LAST_DAY:
        raise InvalidValue(f"a contract runs within {_FIRST_DAY} to {_LAST_DAY} and ends after it starts")


def plans_of(uow: UnitOfWork, tenant: TenantId) -> PlanOf:
    """Return the look-up of plan editions in this transaction."""
    return partial(get_plan, uow, tenant)
