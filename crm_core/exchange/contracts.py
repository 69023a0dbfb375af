"""Contracts from lists: a running contract with its terms and lines, as whole as one that was signed here.

Such a contract was signed elsewhere, so its deposit is not invoiced again. Without a plan in the row the pages cost
nothing beyond the rent: nothing is billed that the row does not say. Terms that are kept here never change by a list:
a price rise needs the customer's consent.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.drafts import Draft, plans_of
from crm_core.agreements.price_changes import rent_of
from crm_core.billing.charges import split_evenly
from crm_core.billing.plans import find_plan
from crm_core.domain.billing import BillingPlan, PageTariff
from crm_core.domain.contracts import Agreement, ContractLine
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import ContractId, CustomerId, TenantId
from crm_core.ports import UnitOfWork

RENT_ONLY: Final = "rent-only"
_MOST_LINES: Final = 500


def put_contract(uow: UnitOfWork, tenant: TenantId, values: Mapping[str, Any], desk: ContractDesk) -> str:
    """Enter one row; return "created", "updated" (the promised arrival only) or "unchanged"."""
    contract_id = ContractId(values["contract_id"])
    known = uow.agreements.contracts.of_contract(tenant, contract_id)
    if known is None:
        existed = uow.contracts.find(tenant, contract_id) is not None
        desk.enter_running(uow, tenant, _draft(uow, tenant, values), document=values.get("document", ""))
        return "updated" if existed else "created"
    differing = sorted(_differing(uow, known, values))
    if differing:
        raise InvalidValue(
            f"contract {contract_id} is kept with other terms ({', '.join(differing)}); "
            "change them on its page: a price rise needs the customer's consent"
        )
    contract = uow.contracts.get(tenant, contract_id)
    hours = values.get("on_site_hours", contract.on_site_hours)
    if hours == contract.on_site_hours:
        return "unchanged"
    uow.contracts.save(replace(contract, on_site_hours=hours))
    return "updated"


def contract_row(agreement: Agreement) -> dict[str, Any]:
    """Return what a list says of an agreement beside its contract: plan, number of lines, list value of its devices."""
    lines = agreement.current.lines
    return {
        "plan": f"{lines[0].plan_id}:{lines[0].plan_edition}",
        "lines": len(lines),
        "device_value": str(sum((line.device_value for line in lines), Decimal(0))),
        "state": agreement.state.value,
    }


def _draft(uow: UnitOfWork, tenant: TenantId, values: Mapping[str, Any]) -> Draft:
    number = values.get("lines", 1)
    if not 1 <= number <= _MOST_LINES:
        raise InvalidValue(f"lines must be 1 to {_MOST_LINES}")
    plan = _plan(uow, tenant, values.get("plan", RENT_ONLY))
    rents = split_evenly(values["monthly_rent"], number)
    worth = split_evenly(values.get("device_value", Decimal(0)), number)
    return Draft(
        contract_id=ContractId(values["contract_id"]),
        customer_id=CustomerId(values["customer_id"]),
        starts_on=values["starts_on"],
        ends_on=values["ends_on"],
        lines=tuple(
            ContractLine(
                line_id=f"{place:02d}",
                plan_id=plan.plan_id,
                plan_edition=plan.edition,
                monthly_rent=rent,
                device_value=value,
            )
            for place, (rent, value) in enumerate(zip(rents, worth, strict=True), 1)
        ),
        deposit_share=Decimal(0),
        on_site_hours=values.get("on_site_hours"),
    )


def _plan(uow: UnitOfWork, tenant: TenantId, told: str) -> BillingPlan:
    """Return the plan that a row names as `plan` or `plan:edition`; the one without page prices is made when needed."""
    plan_id, _, edition = told.partition(":")
    if edition and not edition.isdecimal():
        raise InvalidValue(f"plan {told[:64]!r}: say PLAN or PLAN:EDITION")
    rows = uow.billing.plans.where(tenant, plan_id=plan_id)
    found = (
        find_plan(uow, tenant, plan_id, int(edition))
        if edition
        else max(rows, key=lambda row: row.edition, default=None)
    )
    if found is not None:
        return found
    if plan_id != RENT_ONLY:
        raise InvalidValue(f"there is no plan {told[:64]}; publish it first")
    free = PageTariff(price=Decimal(0))
    blank = BillingPlan(
        tenant=tenant,
        plan_id=RENT_ONLY,
        edition=1,
        name=RENT_ONLY,
        monthly_rent=Decimal(0),
        mono=free,
        colour=free,
    )
    return uow.billing.plans.add(blank)


def _differing(uow: UnitOfWork, known: Agreement, values: Mapping[str, Any]) -> list[str]:
    """Return the fields in which a row differs from the terms that are kept."""
    terms = known.current
    rent = sum((rent_of(line, plans_of(uow, known.tenant)) for line in terms.lines), Decimal(0))
    first = terms.lines[0]
    kept = {
        "customer_id": known.customer_id,
        "starts_on": terms.starts_on,
        "ends_on": terms.ends_on,
        "monthly_rent": rent,
        "lines": len(terms.lines),
        "device_value": sum((line.device_value for line in terms.lines), Decimal(0)),
    }
    differing = [name for name, value in kept.items() if values.get(name, value) != value]
    if values.get("plan", first.plan_id) not in (first.plan_id, f"{first.plan_id}:{first.plan_edition}"):
        differing.append("plan")
    return differing
