"""Which steps a contract can take now, as forms."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date

from api.pages.steps import FormCard, FormField
from crm_core.agreements.contract_states import MOVES, ContractMove
from crm_core.billing.pages_price import month_after
from crm_core.domain.billing import BillingPlan
from crm_core.domain.contracts import Agreement, ContractState
from crm_core.domain.fleet import Customer

Choices = tuple[tuple[str, str], ...]
Step = tuple[str, tuple[FormField, ...]]
_CHANGING = (ContractState.ACTIVE, ContractState.EXPIRING, ContractState.SUSPENDED)
_MONTHS_AHEAD = 6
_CYCLES = ("1", "3", "6", "12")
_REASON = FormField(name="reason")
_CONSENT = (
    FormField(name="given_by"),
    FormField(name="channel", value="signature"),
    FormField(name="document"),
)
_MAYBE_CONSENT = tuple(
    FormField(name=row.name, value=row.value if row.name == "channel" else "", needed=False)
    for row in _CONSENT
)


def steps_of(agreement: Agreement, plans: Sequence[BillingPlan], today: date) -> list[FormCard]:
    """Return the forms for what the contract can do next, the usual step first."""
    possible = {move for state, move in MOVES if state is agreement.state}
    renewal = (FormField(name="successor"), FormField(name="months", kind="count", value="12"))
    end = (FormField(name="last_day", kind="day", value=today.isoformat()), _REASON)
    moves: list[tuple[ContractMove, Step]] = [
        (ContractMove.RESUME, ("resume", (_REASON,))),
        (ContractMove.RENEW, ("renew", renewal)),
        (ContractMove.SUSPEND, ("suspend", (_REASON,))),
        (ContractMove.END, ("end", (_REASON,))),
        (ContractMove.TERMINATE, ("terminate", end)),
        (ContractMove.WITHDRAW, ("withdraw", (_REASON,))),
    ]
    steps = [
        *_beginning(agreement, possible),
        *_changes(agreement, plans, today),
        *(step for move, step in moves if move in possible),
    ]
    return [
        FormCard(
            key=key,
            action=f"/contracts/{agreement.contract_id}/{key}",
            fields=fields,
            version=agreement.version,
        )
        for key, fields in steps
    ]


def _beginning(agreement: Agreement, possible: Collection[ContractMove]) -> list[Step]:
    """Return what leads from the draft to the signature."""
    steps: list[Step] = [("settle", (FormField(name="what", value=what),)) for what in agreement.missing[:1]]
    if ContractMove.OFFER in possible and not agreement.missing:
        steps.append(("offer", ()))
    if ContractMove.SIGN in possible:
        steps.append(("sign", _CONSENT))
    return steps


def _changes(agreement: Agreement, plans: Sequence[BillingPlan], today: date) -> list[Step]:
    """Return what changes lines and devices of a running contract."""
    if agreement.state not in _CHANGING:
        return []
    months = FormField(name="effective_on", kind="choice", choices=_months(agreement, today))
    plan = FormField(name="plan", kind="choice", choices=plan_choices(plans))
    rent = FormField(name="monthly_rent", kind="amount", needed=False)
    value = FormField(name="device_value", kind="amount", value="0.00")
    line = FormField(name="line", kind="choice", choices=_lines(agreement))
    serving = tuple((stay.device_id, stay.device_id) for stay in agreement.stays if stay.to_at is None)
    device = FormField(name="device", kind="choice", choices=serving)
    last, first = (FormField(name=name, kind="count", needed=False) for name in ("end_count", "start_count"))
    steps: list[Step] = [("place", (line, FormField(name="device"), last, first))]
    if serving:
        steps += [("take-away", (device, last)), ("lost", (device,))]
    if months.choices:
        steps.append(("add-line", (FormField(name="new_line"), plan, rent, value, months)))
        steps.append(("change-line", (line, plan, rent, months, *_MAYBE_CONSENT)))
    if months.choices and len(line.choices) > 1:
        steps.append(("remove-line", (line, months)))
    return steps


def draft_fields(customers: Iterable[Customer], plans: Sequence[BillingPlan], share: str) -> FormCard:
    """Return the form of a new contract."""
    named = tuple((row.customer_id, f"{row.name} ({row.customer_id})") for row in customers)
    fields = (
        FormField(name="customer", kind="choice", choices=named),
        FormField(name="contract"),
        FormField(name="starts_on", kind="day"),
        FormField(name="months", kind="count", value="24"),
        FormField(name="plan", kind="choice", choices=plan_choices(plans)),
        FormField(name="devices", kind="count", value="1"),
        FormField(name="monthly_rent", kind="amount", needed=False),
        FormField(name="device_value", kind="amount"),
        FormField(name="deposit_percent", kind="amount", value=share, needed=False),
        FormField(name="cycle", kind="choice", choices=tuple((each, each) for each in _CYCLES), needed=False),
        FormField(name="on_site_hours", kind="count", needed=False),
        FormField(name="clauses", kind="many", needed=False),
    )
    return FormCard(key="draft", action="/contracts/new", fields=fields)


def plan_choices(plans: Sequence[BillingPlan]) -> Choices:
    """Return the newest edition of each plan first, as (plan:edition, words)."""
    ordered = sorted(plans, key=lambda row: (row.plan_id, -row.edition))
    return tuple((f"{row.plan_id}:{row.edition}", f"{row.name} · {row.edition}") for row in ordered)


def _months(agreement: Agreement, today: date) -> Choices:
    """Return the first days of the months from which new terms may begin."""
    first = max(today.replace(day=1), month_after(agreement.current.effective_on))
    days = (month_after(first, place) for place in range(_MONTHS_AHEAD))
    return tuple((day.isoformat(), day.isoformat()) for day in days if day <= agreement.last_day)


def _lines(agreement: Agreement) -> Choices:
    serving = {stay.line_id: stay.device_id for stay in agreement.stays if stay.to_at is None}
    return tuple(
        (row.line_id, f"{row.line_id} · {serving.get(row.line_id, '–')}") for row in agreement.current.lines
    )
