"""What the pages of customers show: a customer with everything that is known, tasks, segments, outcome figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from api.access import CARE, MONEY, Principal
from api.documents.money_papers import money
from api.pages.supply_view import Words
from api.services import ApiServices
from crm_core.agreements.credit import valid_assessment
from crm_core.domain.customer_files import Consent
from crm_core.domain.fleet import Contract, Customer
from crm_core.domain.identity import CustomerId
from crm_core.domain.relations import CustomerClass, Reason, Task
from crm_core.domain.relations_policy import AxisRule, RelationsPolicy
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.relations.care import LOSS_REASONS, OUTCOMES
from crm_core.relations.loyalty import balance, valid_coupons
from crm_core.relations.periods import months_before
from crm_core.relations.reminders import open_tasks
from crm_core.relations.segments import classes_at, members

TONES: Final[Mapping[str, str]] = {
    "risk": "critical",
    "frequent": "watch",
    "core": "good",
    "gold": "good",
    "good": "good",
    "lost": "critical",
}
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A class in words."""

    axis: str
    value: str
    tone: str
    since: datetime
    until: datetime | None
    reasons: list[str]
    candidate: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in words, with how it may end."""

    task: Task
    what: str
    detail: str
    customer: str
    outcomes: list[tuple[str, str]]
    reasons: list[tuple[str, str]]
    device: str = ""  # whose page shows what the task is about


def word(words: Words, family: str, value: str) -> str:
    """Return a word of care; one without a text (a region, an industry of the firm's own) stays as it is."""
    key = f"care.{family}.{value}"
    text = words.messages.text(words.language, key)
    return value.replace("_", " ") if text == key else text


def reason_words(words: Words, reason: Reason) -> str:
    """Return why somebody is in a class, with where the figure comes from."""
    threshold = word(words, "value", reason.threshold) if reason.relation == "caps" else reason.threshold
    if reason.relation == "top_share":
        threshold = f"{Decimal(reason.threshold) * 100:.0f} %"
    text = words.messages.text(
        words.language,
        f"care.reason.{reason.relation}",
        measure=word(words, "measure", reason.measure),
        value=word(words, "value", reason.value) if reason.relation in ("is", "equals") else reason.value,
        threshold=threshold,
    )
    parts = [part.strip() for part in reason.basis.replace("+", ",").split(",") if part.strip()]
    basis = ", ".join(word(words, "basis", part) for part in parts)
    return f"{text} ({basis})" if basis else text


def class_row(words: Words, row: CustomerClass) -> ClassRow:
    """Return a class in words."""
    candidate = ""
    if row.candidate is not None and row.candidate_since is not None:
        candidate = words.messages.text(
            words.language,
            "care.page.candidate",
            value=word(words, "value", row.candidate),
            since=words.formats.moment(row.candidate_since),
        )
    return ClassRow(
        axis=word(words, "axis", row.axis),
        value=word(words, "value", row.value),
        tone=TONES.get(row.value, ""),
        since=row.since,
        until=row.until,
        reasons=[reason_words(words, reason) for reason in row.reasons],
        candidate=candidate,
    )


def task_row(words: Words, task: Task, names: Mapping[CustomerId, str]) -> TaskRow:
    """Return a task in words."""
    said = (_detail_words(words, name, value) for name, value in task.detail.items() if value)
    detail = " · ".join(each for each in said if each)
    lost = task.kind in ("renewal", "renewal_visit")
    return TaskRow(
        task=task,
        what=word(words, "task", task.kind),
        detail=detail,
        customer=names.get(task.customer_id, task.customer_id),
        outcomes=[(each, word(words, "outcome", each)) for each in OUTCOMES.get(task.kind, ())],
        reasons=[(each, word(words, "why", each)) for each in LOSS_REASONS] if lost else [],
        device=task.detail.get("device_id") or task.detail.get("device", ""),
    )


_MONEY_DETAIL: Final = frozenset({"outstanding", "interest", "amount"})
#: Families of texts in which the value of a detail stands; the others are values of customers' classes.
_DETAIL_FAMILIES: Final = {
    "finding": "foresight.kind.{value}", "treatment": "figures.word.{value}", "title": "care.title.{value}",
}  # fmt: skip


def _detail_words(words: Words, name: str, value: str) -> str:
    """Return one detail of a task in words; empty where the task's name says it already."""
    if name in ("class", "device", "device_id"):
        return ""  # the name of the task says the one, a link leads to the other
    label = word(words, "detail", name)
    if name in _MONEY_DETAIL:
        return f"{label} {money(Decimal(value))}"
    if name == "asked":
        kind, _, what = value.partition(":")
        return (
            words.text(f"care.asked.{kind}", what=what) if kind in ("visit", "month") else f"{label} {value}"
        )
    if name in _DETAIL_FAMILIES:
        key = _DETAIL_FAMILIES[name].format(value=value)
        text = words.text(key)
        return f"{label}: {value.replace('_', ' ') if text == key else text}"
    return f"{label} {word(words, 'value', value)}"


def customer_context(
    services: ApiServices, uow: UnitOfWork, principal: Principal, customer: Customer, words: Words
) -> dict[str, Any]:
    """Return everything that is known of one customer, as one page shows it (requirements 36, 37)."""
    tenant, key = principal.tenant, customer.customer_id
    order = {axis.name: place for place, axis in enumerate(services.policy.relations.axes)}
    classes = uow.relations.classes.where(tenant, customer_id=key, limit=500)
    present = sorted((row for row in classes if row.until is None), key=lambda row: order.get(row.axis, 99))
    names = {key: customer.name}
    may_money = principal.role in MONEY.roles
    today = services.customers.requests.today()
    points = balance(uow, tenant, key)
    return {
        "customer": customer,
        "may_change": principal.role in CARE.roles,
        "may_money": may_money,
        "present": [class_row(words, row) for row in present],
        "badges": [class_row(words, row) for row in present if row.axis in ("tier", "mark", "loyalty")],
        "past": [class_row(words, row) for row in classes if row.until is not None][:_SHOWN],
        "contacts": uow.relations.contacts.where(tenant, customer_id=key, active=True, limit=50),
        "contracts": _contracts(uow, customer),
        "devices": sum(device.customer_id == key for device in uow.devices.all(tenant)),
        "tickets": sum(
            ticket.is_open for ticket in uow.tickets.list(tenant, TicketFilter(customer_id=key, limit=500))
        ),
        "tasks": [
            task_row(words, task, names) for task in open_tasks(uow, tenant) if task.customer_id == key
        ],
        "spoken": uow.relations.interactions.where(tenant, customer_id=key, limit=_SHOWN),
        "complaints": uow.relations.complaints.where(tenant, customer_id=key, limit=_SHOWN),
        "requests": uow.agreements.requests.where(tenant, customer_id=key, limit=_SHOWN),
        "assessment": valid_assessment(uow, tenant, key, today) if may_money else None,
        "points": points,
        "worth": services.policy.relations.loyalty.point_value * points,
        "coupons": valid_coupons(uow, tenant, key, services.clock.now()),
        "consents": [each.value for each in Consent if each in customer.consents],
        "word": lambda family, value: word(words, family, str(value)),
    }


def _contracts(uow: UnitOfWork, customer: Customer) -> list[Contract]:
    rows = [row for row in uow.contracts.all(customer.tenant) if row.customer_id == customer.customer_id]
    return sorted(rows, key=lambda row: row.ends_on, reverse=True)


def segments_context(
    services: ApiServices, uow: UnitOfWork, customers: Sequence[Customer], words: Words
) -> dict[str, Any]:
    """Return the segments with who is in them, and the thresholds that a dry run may change."""
    policy = services.policy.relations
    classes = classes_at(uow.relations.present_classes(services.settings.tenant))
    by_id = {each.customer_id: each for each in customers}
    rows = []
    for segment in policy.segments:
        inside = [by_id[key] for key in members(segment, classes) if key in by_id]
        definition = ", ".join(
            f"{word(words, 'axis', axis)}: {' / '.join(word(words, 'value', each) for each in values)}"
            for axis, values in segment.classes.items()
        )
        reachable = sum(Consent.MARKETING in each.consents for each in inside)
        rows.append(
            {
                "key": segment.name,
                "name": word(words, "segment", segment.name),
                "definition": definition,
                "offer": word(words, "offer", segment.offer),
                "inside": inside,
                "reachable": reachable,
            }
        )
    return {
        "rows": rows,
        "thresholds": [*_thresholds(policy, words)],
        "policy_version": services.policy.version,
    }


def _thresholds(policy: RelationsPolicy, words: Words) -> list[tuple[str, str]]:
    """Return the keys of all numeric thresholds with their names in words."""
    return [
        (
            f"{axis.name}.{rule.name}.{each.measure}",
            _threshold_words(words, axis, rule.name, each.measure, each.value),
        )
        for axis in policy.axes
        for rule in axis.classes
        for each in rule.any_of
        if isinstance(each.value, Decimal)
    ]


def _threshold_words(words: Words, axis: AxisRule, name: str, measure: str, value: Decimal | str) -> str:
    return (
        f"{word(words, 'axis', axis.name)} – {word(words, 'value', name)}: "
        f"{word(words, 'measure', measure)} ({value})"
    )


def months_of(today: date, month: str, baseline: str) -> tuple[date, date]:
    """Return the months that a page compares: those asked for, else the last full one and the same a year earlier."""
    last = months_before(today.replace(day=1), 1)
    asked = [_first_day(month, last), _first_day(baseline, months_before(last, 12))]
    return asked[0], asked[1]


def _first_day(text: str, default: date) -> date:
    try:
        return date.fromisoformat(f"{text}-01") if text else default
    except ValueError:
        return default
