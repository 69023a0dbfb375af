"""A customer's personal data as a whole: given out in a readable form, erased on request, forgotten when its time is over.

What the law wants kept (invoices, payments, the audit chain) stays; it names the customer only by id.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from crm_core.domain.errors import Conflict
from crm_core.domain.fleet import Contract, Customer
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.service import OPEN_STATES, Role
from crm_core.domain.trust import AuditNote, Subject, SubjectKind
from crm_core.domain.trust_policy import RetentionPolicy
from crm_core.domain.wire import instant_to_json
from crm_core.ports import Clock, TicketFilter, UnitOfWork, UnitOfWorkFactory
from crm_core.trust.personal import PersonalData
from crm_core.trust.places import ERASED, PersonalPlace, relations_places

FORMAT: Final = "drumbeat.personal-export/1"
GUARD_KEPT: Final = timedelta(days=2)  # first answers live a day, locks an hour or less


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What an erasure or a run of retention removed."""

    customers: tuple[CustomerId, ...]
    fields: int
    rows: int


class DataSubjects:
    """Export, erasure and retention of personal data (requirements 77, 78, 93, 96)."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        personal: PersonalData,
        clock: Clock,
        places: Sequence[PersonalPlace] | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._personal = personal
        self._clock = clock
        self._places = relations_places() if places is None else tuple(places)

    def export(self, tenant: TenantId, customer_id: CustomerId, reason: str) -> dict[str, Any]:
        """Return everything personal that is kept about a customer, in full; the export is kept in the audit chain."""
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, customer_id)
            subjects = self._subjects(customer_id)
            body: dict[str, Any] = {
                "format": FORMAT,
                "made_at": instant_to_json(self._clock.now()),
                "customer": _plain(customer),
                "personal_fields": {
                    subject.kind.value: self._in_full(uow, tenant, subject) for subject in subjects
                },
                "sites": [_plain(site) for site in uow.sites.all(tenant) if site.customer_id == customer_id],
                "contracts": [_plain(each) for each in _contracts(uow, tenant, customer_id)],
                "accounts": [
                    {"name": user.name, "role": user.role.value, "active": user.active}
                    for user in uow.users.all(tenant)
                    if user.customer_id == customer_id
                ],
            }
            for place in self._places:
                body[place.name] = [_plain(row) for row in place.give_out(uow, tenant, customer_id)]
            uow.trust.note(_note(tenant, "personal.exported", customer_id, reason))
            uow.commit()
        return body

    def erase(self, tenant: TenantId, customer_id: CustomerId, reason: str) -> Forgotten:
        """Erase a customer's personal data; refused while a contract runs or a ticket is open."""
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, customer_id)
            self._check_is_over(uow, tenant, customer_id)
            forgotten = self._erase(uow, customer)
            uow.trust.note(_note(tenant, "personal.erased", customer_id, reason))
            uow.commit()
        return forgotten

    def over_retention(self, tenant: TenantId, retention: RetentionPolicy) -> tuple[CustomerId, ...]:
        """Return the customers whose last contract ended longer ago than personal data is kept."""
        limit = self._clock.now().date() - retention.personal
        with self._uow_factory() as uow:
            last: dict[CustomerId, date] = {}
            for contract in uow.contracts.all(tenant):
                known = last.get(contract.customer_id, contract.ends_on)
                last[contract.customer_id] = max(known, contract.ends_on)
            return tuple(
                customer.customer_id
                for customer in uow.customers.all(tenant)
                if customer.name != ERASED and last.get(customer.customer_id, limit) < limit
            )

    def apply_retention(self, tenant: TenantId, retention: RetentionPolicy) -> Forgotten:
        """Erase what is kept no longer: personal data, expired tokens, signals that triage took in long ago.

        Customers that still have something open are left for the next run.
        """
        done: list[CustomerId] = []
        fields = 0
        now = self._clock.now()
        with self._uow_factory() as uow:
            rows = uow.trust.forget_expired_tokens(now - retention.expired_tokens)
            rows += uow.trust.forget_processed_signals(now - retention.processed_signals)
            rows += uow.accounts.purge(now - GUARD_KEPT, now - GUARD_KEPT)
            uow.commit()
        for customer_id in self.over_retention(tenant, retention):
            try:
                forgotten = self.erase(tenant, customer_id, "retention")
            except Conflict:
                continue
            done.append(customer_id)
            fields, rows = fields + forgotten.fields, rows + forgotten.rows
        return Forgotten(customers=tuple(done), fields=fields, rows=rows)

    def _check_is_over(self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> None:
        today = self._clock.now().date()
        running = [each.contract_id for each in _contracts(uow, tenant, customer_id) if each.ends_on >= today]
        if running:
            raise Conflict(f"contract {running[0]} of {customer_id} still runs; end it first")
        which = TicketFilter(customer_id=customer_id, states=frozenset(OPEN_STATES), limit=1)
        if uow.tickets.list(tenant, which):
            raise Conflict(f"{customer_id} has an open ticket; close it first")

    def _erase(self, uow: UnitOfWork, customer: Customer) -> Forgotten:
        tenant, customer_id = customer.tenant, customer.customer_id
        fields = sum(self._personal.remove(uow, tenant, subject) for subject in self._subjects(customer_id))
        rows = sum(place.erase(uow, tenant, customer_id) for place in self._places)
        uow.customers.save(
            replace(
                customer,
                name=ERASED,
                contact_name=None,
                phone=None,
                email=None,
                consents=(),
                company=None,
                person=None,
                referred_by=None,
            )
        )
        for site in uow.sites.all(tenant):
            if site.customer_id == customer_id:
                uow.sites.save(replace(site, name=ERASED, address="", access_notes=""))
                rows += 1
        for user in uow.users.all(tenant):
            if user.customer_id == customer_id and user.role is Role.CUSTOMER:
                uow.users.revoke_tokens_of(tenant, user.user_id)
                uow.users.save(replace(user, name=f"erased-{user.user_id}", active=False))
                rows += 1
        return Forgotten(customers=(customer_id,), fields=fields, rows=rows + 1)

    def _in_full(self, uow: UnitOfWork, tenant: TenantId, subject: Subject) -> dict[str, str]:
        return self._personal.shown(uow, tenant, subject, in_full=True)

    @staticmethod
    def _subjects(customer_id: CustomerId) -> tuple[Subject, ...]:
        """Return under which subjects fields of a customer are kept: its own, and its guarantor's."""
        return (Subject(SubjectKind.CUSTOMER, customer_id), Subject(SubjectKind.GUARANTOR, customer_id))


def _contracts(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> list[Contract]:
    return [each for each in uow.contracts.all(tenant) if each.customer_id == customer_id]


def _note(tenant: TenantId, action: str, customer_id: CustomerId, reason: str) -> AuditNote:
    return AuditNote(
        tenant=tenant, action=action, kind="customers", object_id=customer_id, detail=reason[:200]
    )


def _plain(row: object) -> Any:
    return msgspec.to_builtins(row)
