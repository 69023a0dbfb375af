"""The pages of repair charges: the list, and one charge on its way through collect, compute, explain, confirm, receipt."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import CARE, Principal, check_sees_order, services_of
from api.documents.money_papers import money
from api.money_sight import customers_in_sight
from api.pages.common import renderer_of, words_of
from api.pages.forms import Form, amount_of, checked, choice_of, count_of
from api.pages.invoice_steps import channel_field, channel_word
from api.pages.money_common import customer_names
from api.pages.steps import FormCard, FormField, Refusal, Rows, look_or_do
from api.pages.supply_view import Words
from api.problem import Problem
from api.routes.charges import ChargeKey, visible_charge
from crm_core.billing.repair_desk import Collected
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.charges import ChargeLine, ChargeState, PartCharge, RepairCharge
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import WorkOrderId, work_order_number

router = APIRouter(include_in_schema=False)

CareRole = Annotated[Principal, Depends(CARE)]
StepName = Annotated[str, Path(pattern=r"^[a-z-]{3,16}$")]
_ROWS: Final = 60
_CAUSES: Final = ("wear", "defect", "consumable", "user_damage", "unknown")


@router.get("/charges")
def charges_page(
    request: Request, principal: CareRole, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """List the repair charges in sight, newest first."""
    return _list(request, principal, before=before)


@router.post("/charges/collect")
def collect(request: Request, principal: CareRole, form: Form) -> Response:
    """Look at the charge of a work order, or open it."""
    sent = checked(form, principal)
    services, words = services_of(request), words_of(request, principal)

    def act(dry_run: bool) -> Rows:
        order_id = WorkOrderId(count_of(sent.get("work_order", "").upper().removeprefix("WO-"), "work_order"))
        with services.read_uow_factory() as uow:
            check_sees_order(principal, uow, uow.work_orders.get(principal.tenant, order_id))
        charge = services.money.repairs.collect(
            principal.tenant, order_id, _found(sent), actor=principal.name, dry_run=dry_run
        )
        return _facts(words, charge)

    def again(refusal: Refusal) -> Response:
        return _list(request, principal, refusal=refusal)

    return look_or_do(request, principal, sent, key="collect", act=act, back="/charges", again=again)


@router.get("/charges/{charge_id}")
def charge_page(request: Request, principal: CareRole, charge_id: ChargeKey) -> Response:
    """Show a charge with its lines, its formula and its next step."""
    return _page(request, principal, visible_charge(request, principal, charge_id))


@router.post("/charges/{charge_id}/{step}")
def take_step(
    request: Request, principal: CareRole, form: Form, charge_id: ChargeKey, step: StepName
) -> Response:
    """Look at the next step of a charge, or take it."""
    sent = checked(form, principal)
    charge = visible_charge(request, principal, charge_id)
    words = words_of(request, principal)
    if step not in ("compute", "explain", "confirm"):
        raise Problem("not_found")
    desk = services_of(request).money.repairs
    whose: dict[str, Any] = {"actor": principal.name}

    def act(dry_run: bool) -> Rows:
        move: Callable[..., RepairCharge] = partial(desk.compute, principal.tenant, charge_id)
        if step == "explain":
            move = partial(desk.explain, principal.tenant, charge_id, sent.get("note", "")[:500])
        if step == "confirm":
            method = choice_of(PaymentMethod, sent.get("channel", ""), "channel")
            agreed = sent.get("agreed_by", "")[:128]
            move = partial(desk.confirm, principal.tenant, charge_id, method, agreed)
        return _facts(words, move(**whose, dry_run=dry_run), charge.state)

    def again(refusal: Refusal) -> Response:
        return _page(request, principal, charge, refusal)

    back = f"/charges/{charge_id}"
    return look_or_do(request, principal, sent, key=step, act=act, back=back, again=again)


def _list(
    request: Request, principal: Principal, *, before: int | None = None, refusal: Refusal | None = None
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        seen = customers_in_sight(principal, uow)
        limit = _ROWS + 1 if seen is None else 1_000_000
        found = uow.billing.charges.where(principal.tenant, before=before, limit=limit)
        rows = [row for row in found if seen is None or row.customer_id in seen][: _ROWS + 1]
        names = customer_names(uow, principal, rows[:_ROWS])
    last = rows[_ROWS - 1].charge_id if len(rows) > _ROWS else None
    return renderer_of(request).page(
        request,
        "charges.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        rows=rows[:_ROWS],
        names=names,
        next_href=f"/charges?before={last}" if last else None,
        forms=[_collect_form(services.policy.billing.repairs.items, words)],
        refusal=refusal,
        money=money,
    )


def _page(
    request: Request, principal: Principal, charge: RepairCharge, refusal: Refusal | None = None
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        names = customer_names(uow, principal, [charge])

    def line_text(line: ChargeLine) -> str:
        return words.messages.unpacked(words.language, line.text)

    return renderer_of(request).page(
        request,
        "charge.html",
        principal=principal,
        status=refusal.status if refusal else 200,
        charge=charge,
        names=names,
        line_text=line_text,
        forms=_forms(charge, words),
        refusal=refusal,
        money=money,
    )


def _forms(charge: RepairCharge, words: Words) -> list[FormCard]:
    """Return the one step that a charge can take next."""
    steps: Mapping[ChargeState, tuple[str, tuple[FormField, ...]]] = {
        ChargeState.COLLECT: ("compute", ()),
        ChargeState.COMPUTE: ("explain", (FormField(name="note"),)),
        ChargeState.EXPLAIN: ("confirm", (FormField(name="agreed_by"), channel_field(words))),
    }
    if charge.state not in steps:
        return []
    key, fields = steps[charge.state]
    return [FormCard(key=key, action=f"/charges/{charge.charge_id}/{key}", fields=fields)]


def _collect_form(items: Any, words: Words) -> FormCard:
    say = words.text
    named = tuple((row.item, say(f"billing.item.{row.item}")) for row in items)
    causes = tuple((each, say(f"pages.repair_cause.{each}")) for each in _CAUSES)
    fields = (
        FormField(name="work_order"),
        FormField(name="item", kind="choice", choices=named),
        FormField(name="hours", kind="amount", value="1.0"),
        FormField(name="cause", kind="choice", choices=causes),
        FormField(name="part_name", needed=False),
        FormField(name="part_price", kind="amount", needed=False),
        FormField(name="part_quantity", kind="count", value="1", needed=False),
    )
    return FormCard(key="collect", action="/charges/collect", fields=fields)


def _found(sent: Mapping[str, str]) -> Collected:
    """Return what the form says of the repair: item, hours, cause, at most one part."""
    name, price = sent.get("part_name", "").strip()[:128], sent.get("part_price", "").strip()
    if bool(name) != bool(price):
        raise InvalidValue("part_name: a part needs its name and its price")
    quantity = count_of(sent.get("part_quantity", "") or "1", "part_quantity")
    part = (
        PartCharge(name=name, unit_price=amount_of(price, "part_price"), quantity=quantity) if name else None
    )
    hours: Decimal = amount_of(sent.get("hours", ""), "hours")
    return Collected(
        item=sent.get("item", "")[:64],
        hours=hours,
        cause=sent.get("cause", "")[:32],
        parts=(part,) if part else (),
    )


def _facts(words: Words, charge: RepairCharge, before: ChargeState | None = None) -> Rows:
    """Return a charge after a step in words: its state, and its lines when they are computed."""
    say = words.text
    states = [say(f"billing.charge_state.{each.value}") for each in (before, charge.state) if each]
    rows = [
        (say("money.field.work_order"), work_order_number(WorkOrderId(charge.work_order_id or 0))),
        (say("money.field.device"), f"{charge.device_id or ''}"),
        (say("money.field.item"), say(f"billing.item.{charge.job.item}")),
        (say("money.field.cause"), say(f"pages.repair_cause.{charge.job.cause}")),
        (say("money.field.state"), " → ".join(states)),
    ]
    if charge.price is not None:
        rows += [
            (words.messages.unpacked(words.language, row.text), money(row.amount))
            for row in charge.price.lines
        ]
        rows.append((say("billing.page.total"), money(charge.price.total)))
    if charge.payment_method:
        rows.append((say("money.field.channel"), channel_word(words, PaymentMethod(charge.payment_method))))
    return rows
