"""The pages of contracts: the list, one contract with the steps that it can take, and the draft of a new one.

Each step is looked at first: everything is done but the writing, and what changes is shown.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import MONEY, MONEY_OWNED, Principal, check_sees_customer, services_of
from api.documents.money_papers import money
from api.money_sight import InvoiceFilter, agreements_in_sight, invoices_in_sight
from api.pages.common import renderer_of, words_of
from api.pages.contract_forms import draft_fields, steps_of
from api.pages.contract_steps import STEPS, Told, contract_changes
from api.pages.forms import Form, amount_of, checked, count_of, day_of, version_of
from api.pages.money_common import customer_names, line_of
from api.pages.steps import Refusal, Rows, look_or_do
from api.problem import Problem
from api.routes.contracts import ContractKey, visible_agreement
from api.routes.customers import customers_in_sight
from crm_core.agreements.contract_money import months_before_day
from crm_core.agreements.credit import missing_of, valid_assessment
from crm_core.agreements.drafts import Draft
from crm_core.domain.contracts import ContractLine
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import ContractId, CustomerId

router = APIRouter(include_in_schema=False)

MoneyRole = Annotated[Principal, Depends(MONEY)]
MoneyOwned = Annotated[Principal, Depends(MONEY_OWNED)]
StepName = Annotated[str, Path(pattern=r"^[a-z-]{3,16}$")]
_ROWS: Final = 60
_MOST_LINES: Final = 200


@router.get("/contracts")
def contracts_page(
    request: Request,
    principal: MoneyOwned,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """List the contracts in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = agreements_in_sight(principal, uow, before=before)
        names = customer_names(uow, principal, rows[:_ROWS])
    last = rows[_ROWS - 1].agreement_id if len(rows) > _ROWS else None
    return renderer_of(request).page(
        request,
        "contracts.html",
        principal=principal,
        rows=rows[:_ROWS],
        names=names,
        may_change=principal.role in MONEY.roles,
        next_href=f"/contracts?before={last}" if last else None,
        money=money,
    )


@router.get("/contracts/new")
def new_contract_page(request: Request, principal: MoneyRole) -> Response:
    """Show the form of a new contract."""
    return _new_page(request, principal)


@router.post("/contracts/new")
def new_contract(request: Request, principal: MoneyRole, form: Form) -> Response:
    """Look at a draft, or write it."""
    sent = checked(form, principal)

    def act(dry_run: bool) -> Rows:
        draft = _draft_of(request, principal, sent)
        desk = services_of(request).money.contracts
        made = desk.draft(principal.tenant, draft, actor=principal.name, dry_run=dry_run)
        return contract_changes(request, words_of(request, principal), None, made)

    def again(refusal: Refusal) -> Response:
        return _new_page(request, principal, refusal)

    back = f"/contracts/{sent.get('contract', '')}" if sent.get("confirmed") == "yes" else "/contracts/new"
    return look_or_do(request, principal, sent, key="draft", act=act, back=back, again=again)


def _new_page(request: Request, principal: Principal, refusal: Refusal | None = None) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        customers = customers_in_sight(principal, uow)
    share = services.policy.agreements.credit.deposit_share * 100
    plans = services.money.plans.plans(principal.tenant)
    return renderer_of(request).page(
        request,
        "new_contract.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        forms=[draft_fields(customers, plans, f"{share.normalize():f}")],
        refusal=refusal,
    )


@router.get("/contracts/{contract_id}")
def contract_page(request: Request, principal: MoneyOwned, contract_id: ContractKey) -> Response:
    """Show a contract: terms in force, lines with their devices, consents, history, invoices, next steps."""
    return _contract_page(request, principal, contract_id)


@router.post("/contracts/{contract_id}/{step}")
def take_step(
    request: Request, principal: MoneyRole, form: Form, contract_id: ContractKey, step: StepName
) -> Response:
    """Look at a step of the contract, or take it."""
    sent = checked(form, principal)
    taken = STEPS.get(step)
    if taken is None:
        raise Problem("not_found")
    before = visible_agreement(request, principal, contract_id)
    told = Told(services_of(request).money, principal, before, sent, version_of(sent))

    def act(dry_run: bool) -> Rows:
        after, more = taken(told, dry_run)
        return contract_changes(request, words_of(request, principal), before, after, more)

    def again(refusal: Refusal) -> Response:
        return _contract_page(request, principal, contract_id, refusal)

    back = f"/contracts/{contract_id}"
    return look_or_do(request, principal, sent, key=step, act=act, back=back, again=again)


def _contract_page(
    request: Request, principal: Principal, contract_id: str, refusal: Refusal | None = None
) -> Response:
    services = services_of(request)
    agreement = visible_agreement(request, principal, contract_id)
    with services.read_uow_factory() as uow:
        which = InvoiceFilter(contract_id=contract_id, limit=12)
        invoices = invoices_in_sight(principal, uow, which)
        names = customer_names(uow, principal, [agreement])
    forms = []
    if principal.role in MONEY.roles:
        plans = services.money.plans.plans(principal.tenant)
        forms = steps_of(agreement, plans, services.money.contracts.today)
    return renderer_of(request).page(
        request,
        "contract.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        agreement=agreement,
        terms=agreement.current,
        serving={stay.line_id: stay.device_id for stay in agreement.stays if stay.to_at is None},
        invoices=invoices,
        names=names,
        inside=principal.bound_to is None,
        money=money,
        forms=forms,
        refusal=refusal,
    )


def _draft_of(request: Request, principal: Principal, sent: Mapping[str, str]) -> Draft:
    """Return what the form asks for; deposit and payment cycle come from a valid assessment unless the form says them."""
    services = services_of(request)
    customer_id = CustomerId(sent.get("customer", ""))
    with services.read_uow_factory() as uow:
        check_sees_customer(principal, uow, customer_id)
        customer = uow.customers.get(principal.tenant, customer_id)
        today = services.money.contracts.today
        assessment = valid_assessment(uow, principal.tenant, customer_id, today)
    starts_on = day_of(sent.get("starts_on", ""), "starts_on")
    percent = sent.get("deposit_percent", "").strip()
    usual = services.policy.agreements.credit.deposit_share
    share = assessment.deposit_share if assessment else usual
    cycle = assessment.payment_months if assessment else 1
    hours = sent.get("on_site_hours", "").strip()
    return Draft(
        contract_id=ContractId(sent.get("contract", "").strip()),
        customer_id=customer_id,
        starts_on=starts_on,
        ends_on=_end_after(starts_on, count_of(sent.get("months", ""), "months")),
        lines=_lines_of(sent),
        deposit_share=amount_of(percent, "deposit_percent") / 100 if percent else share,
        payment_cycle_months=count_of(sent["cycle"], "cycle") if sent.get("cycle") else cycle,
        assessment_id=None if assessment is None else str(assessment.assessment_id),
        missing=missing_of(customer, services.policy.agreements.credit),
        on_site_hours=count_of(hours, "on_site_hours") if hours else None,
        clauses=tuple(row.strip() for row in sent.get("clauses", "").splitlines() if row.strip())[:100],
    )


def _lines_of(sent: Mapping[str, str]) -> tuple[ContractLine, ...]:
    """Return as many lines as devices are rented, all with the same plan and rent."""
    number = count_of(sent.get("devices", ""), "devices")
    if not 1 <= number <= _MOST_LINES:
        raise InvalidValue(f"devices: 1 to {_MOST_LINES}")
    first = line_of(sent, "01")
    return tuple(replace(first, line_id=f"{place:02d}") for place in range(1, number + 1))


def _end_after(starts_on: date, months: int) -> date:
    if not 1 <= months <= 600:
        raise InvalidValue("months: 1 to 600")
    return months_before_day(starts_on, -months) - timedelta(days=1)
