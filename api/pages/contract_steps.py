"""What each step on the page of a contract does, and what it changes in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final

from starlette.requests import Request

from api.access import Principal, services_of
from api.documents.money_papers import money
from api.pages.forms import count_of, day_of
from api.pages.money_common import line_of
from api.pages.steps import Rows
from api.pages.supply_view import Words
from crm_core.agreements.contract_states import ContractMove
from crm_core.agreements.drafts import plans_of
from crm_core.agreements.price_changes import rent_of
from crm_core.billing.services import MoneyServices
from crm_core.domain.contracts import Agreement, ContractLine, PriceConsent, Terms
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.identity import checked_identifier as identifier

More = list[tuple[str, str]]  # further facts as (field, words)


@dataclass(frozen=True, slots=True)
class Told:
    """A form that was sent for a contract: by whom, what, and the version that they saw."""

    services: MoneyServices
    principal: Principal
    agreement: Agreement
    sent: Mapping[str, str]
    version: int

    def text(self, name: str) -> str:
        """Return a field without surrounding blanks."""
        return self.sent.get(name, "").strip()

    def count(self, name: str) -> int | None:
        """Return a count, or None where nothing is told."""
        return count_of(self.text(name), name) if self.text(name) else None


Taken = tuple[Agreement, More]
Take = Callable[[Told, bool], Taken]


def _offer(told: Told, dry_run: bool) -> Taken:
    desk = told.services.contracts
    return desk.offer(*_whose(told), actor=told.principal.name, version=told.version, dry_run=dry_run), []


def _settle(told: Told, dry_run: bool) -> Taken:
    desk = told.services.contracts
    what = told.text("what")
    return desk.settle_missing(*_whose(told), what, actor=told.principal.name, dry_run=dry_run), [
        ("what", what)
    ]


def _sign(told: Told, dry_run: bool) -> Taken:
    consent = _consent(told)
    if consent is None:
        raise InvalidValue("document: name who signed and the document that shows it")
    signed = told.services.contracts.sign(
        *_whose(told), consent, actor=told.principal.name, version=told.version, dry_run=dry_run
    )
    return signed, [("given_by", consent.given_by), ("document", consent.document)]


def _moved(move: ContractMove, told: Told, dry_run: bool) -> Taken:
    desk = told.services.contracts
    reason = _reason(told)
    moved = desk.move(
        *_whose(told), move, actor=told.principal.name, note=reason, version=told.version, dry_run=dry_run
    )
    return moved, [("reason", reason)]


def _renew(told: Told, dry_run: bool) -> Taken:
    months = count_of(told.text("months"), "months")
    renewed = told.services.contracts.renew_for(
        *_whose(told),
        told.text("successor"),
        months,
        actor=told.principal.name,
        version=told.version,
        dry_run=dry_run,
    )
    return renewed, [("successor", told.text("successor")), ("months", str(months))]


def _end(told: Told, dry_run: bool) -> Taken:
    reason = _reason(told)
    ended = told.services.contracts.end(
        *_whose(told), reason, actor=told.principal.name, version=told.version, dry_run=dry_run
    )
    return ended, [("reason", reason)]


def _terminate(told: Told, dry_run: bool) -> Taken:
    ended, penalty = told.services.contract_devices.terminate(
        *_whose(told),
        day_of(told.text("last_day"), "last_day"),
        _reason(told),
        actor=told.principal.name,
        version=told.version,
        dry_run=dry_run,
    )
    return ended, [("reason", told.text("reason")), ("penalty", money(penalty))]


def _place(told: Told, dry_run: bool) -> Taken:
    line, device = told.text("line"), DeviceId(identifier(told.text("device"), "device id"))
    after = told.services.contract_devices.swap(
        *_whose(told),
        line,
        device,
        actor=told.principal.name,
        end_count=told.count("end_count"),
        start_count=told.count("start_count"),
        version=told.version,
        dry_run=dry_run,
    )
    return after, [("line", line), ("device", device)]


def _take_away(told: Told, dry_run: bool) -> Taken:
    device = told.text("device")
    line = next(
        (row.line_id for row in told.agreement.stays if row.device_id == device and not row.to_at), ""
    )
    after = told.services.contract_devices.take_away(
        *_whose(told),
        line,
        actor=told.principal.name,
        end_count=told.count("end_count"),
        version=told.version,
        dry_run=dry_run,
    )
    return after, [("device", device)]


def _lost(told: Told, dry_run: bool) -> Taken:
    device = DeviceId(told.text("device"))
    value = told.services.contract_devices.report_lost(
        *_whose(told), device, actor=told.principal.name, dry_run=dry_run
    )
    return told.agreement, [("device", device), ("compensation", money(value))]


def _add_line(told: Told, dry_run: bool) -> Taken:
    line = line_of(told.sent, identifier(told.text("new_line"), "line id"))
    return _changed(told, (*told.agreement.current.lines, line), dry_run)


def _change_line(told: Told, dry_run: bool) -> Taken:
    present = told.agreement.current.line(told.text("line"))
    if present is None:
        raise InvalidValue("line: choose one of the list")
    wanted = line_of(told.sent, present.line_id)
    changed = replace(
        present,
        plan_id=wanted.plan_id,
        plan_edition=wanted.plan_edition,
        monthly_rent=wanted.monthly_rent if wanted.monthly_rent is not None else present.monthly_rent,
    )
    lines = tuple(changed if row is present else row for row in told.agreement.current.lines)
    return _changed(told, lines, dry_run)


def _remove_line(told: Told, dry_run: bool) -> Taken:
    gone = told.text("line")
    return _changed(told, tuple(row for row in told.agreement.current.lines if row.line_id != gone), dry_run)


def _changed(told: Told, lines: tuple[ContractLine, ...], dry_run: bool) -> Taken:
    begins = day_of(told.text("effective_on"), "effective_on")
    terms: Terms = replace(told.agreement.current, lines=lines, effective_on=begins)
    consent = _consent(told)
    changed = told.services.contracts.change_terms(
        *_whose(told),
        terms,
        actor=told.principal.name,
        consent=consent,
        version=told.version,
        dry_run=dry_run,
    )
    rises = changed.events[-1].note
    more = [("effective_on", begins.isoformat())]
    return changed, [*more, *([("rises", rises)] if rises else []), *_consent_rows(consent)]


#: Step in the address -> what it does.
STEPS: Final[Mapping[str, Take]] = MappingProxyType(
    {
        "offer": _offer,
        "settle": _settle,
        "sign": _sign,
        "withdraw": partial(_moved, ContractMove.WITHDRAW),
        "suspend": partial(_moved, ContractMove.SUSPEND),
        "resume": partial(_moved, ContractMove.RESUME),
        "renew": _renew,
        "end": _end,
        "terminate": _terminate,
        "place": _place,
        "take-away": _take_away,
        "lost": _lost,
        "add-line": _add_line,
        "change-line": _change_line,
        "remove-line": _remove_line,
    }
)


def contract_changes(
    request: Request, words: Words, before: Agreement | None, after: Agreement, more: More | None = None
) -> Rows:
    """Return what differs between two states of a contract in words; all of a new one."""
    say = words.text
    rents = _rents(request, after, before)
    facts = [
        ("state", *(_state(words, each) for each in (before, after))),
        ("lines", *(str(len(each.current.lines)) if each else "" for each in (before, after))),
        ("rent_sum", *rents),
        ("last_day", *(each.last_day.isoformat() if each else "" for each in (before, after))),
        ("deposit", *(money(each.current.deposit) if each else "" for each in (before, after))),
    ]
    rows = [
        (say(f"money.field.{name}"), f"{was} → {becomes}" if was else becomes)
        for name, was, becomes in facts
        if was != becomes
    ]
    told = [(say(f"money.field.{name}"), text) for name, text in more or []]
    return [(say("billing.page.contract"), str(after.contract_id)), *rows, *told]


def _state(words: Words, agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    return words.text(f"billing.contract_state.{agreement.state.value}")


def _rents(request: Request, after: Agreement, before: Agreement | None) -> tuple[str, str]:
    """Return the fixed rent of a month of both states."""
    with services_of(request).read_uow_factory() as uow:
        plan_of = plans_of(uow, after.tenant)

        def rent(agreement: Agreement | None) -> str:
            if agreement is None:
                return ""
            return money(sum((rent_of(line, plan_of) for line in agreement.current.lines), Decimal(0)))

        return rent(before), rent(after)


def _whose(told: Told) -> tuple[TenantId, str]:
    return told.principal.tenant, told.agreement.contract_id


def _reason(told: Told) -> str:
    if not told.text("reason"):
        raise InvalidValue("reason: say why")
    return told.text("reason")[:200]


def _consent(told: Told) -> PriceConsent | None:
    """Return the customer's recorded consent, None when no document is named."""
    if not told.text("document") or not told.text("given_by"):
        return None
    return PriceConsent(
        given_by=told.text("given_by")[:200],
        given_at=told.services.contracts.now,
        channel=told.text("channel")[:64] or "signature",
        document=told.text("document")[:200],
    )


def _consent_rows(consent: PriceConsent | None) -> More:
    return [] if consent is None else [("given_by", consent.given_by), ("document", consent.document)]
