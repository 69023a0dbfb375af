"""Files of customers and the people to speak to there: who may be saved how, and changes that wait for a yes.

A company without a person to speak to is refused (requirement 54). Files are looked over once a year (109).
"""

from dataclasses import replace
from datetime import date
from typing import Final

from crm_core.domain.customer_files import CompanyFile, Contact, PersonFile
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import Customer, CustomerKind
from crm_core.domain.identity import CustomerId, TenantId, checked_identifier
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import FileChange
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.periods import local_day, months_before

#: What a customer may propose about the own file; each is a text field of the customer.
SELF_SERVICE: Final = ("contact_name", "phone", "email", "industry", "language")
_DAY_MINUTES: Final = 1440


class CustomerDesk:
    """Keeps customers and contacts. Unknown ids raise `NotFound`, a stale version `Conflict`, bad values `InvalidValue`."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def register(self, customer: Customer) -> Customer:
        """Add a customer; `Conflict` when the id is taken. The file is due for review after the policy's months."""
        with self._uow_factory() as uow:
            complete = self.enter(uow, customer)
            uow.commit()
        return complete

    def enter(self, uow: UnitOfWork, customer: Customer) -> Customer:
        """Add a customer within a transaction, as `register` does."""
        checked_identifier(customer.customer_id, "customer id")
        today = self._today()
        complete = replace(
            _checked(customer),
            registered_on=customer.registered_on or today,
            review_due_on=customer.review_due_on or self._next_review(today),
            version=1,
        )
        if uow.customers.find(customer.tenant, customer.customer_id) is not None:
            raise Conflict(f"there is a customer {customer.customer_id} already; change that one")
        self._check_referrer(uow, complete)
        uow.customers.save(complete)
        return complete

    def change(self, customer: Customer, *, expected_version: int) -> Customer:
        """Replace what people may change; tier and owner stay with classification and hand-over."""
        with self._uow_factory() as uow:
            known = uow.customers.get(customer.tenant, customer.customer_id)
            _check_version(known.version, expected_version, f"customer {customer.customer_id}")
            changed = self.amend(uow, known, customer)
            uow.commit()
        return changed

    def amend(self, uow: UnitOfWork, known: Customer, customer: Customer) -> Customer:
        """Replace what people may change of a known customer within a transaction, as `change` does."""
        changed = replace(
            customer,
            tier=known.tier,
            owner=known.owner,
            registered_on=known.registered_on,
            review_due_on=known.review_due_on,
            version=known.version + 1,
        )
        has_contact = any(
            each.active
            for each in uow.relations.contacts.where(
                customer.tenant, customer_id=customer.customer_id, limit=100
            )
        )
        self._check_referrer(uow, changed)
        checked = _checked(changed, has_contact=has_contact)
        uow.customers.save(checked)
        return checked

    def reviewed(self, tenant: TenantId, customer_id: CustomerId, *, expected_version: int) -> Customer:
        """Note that the file was looked over; the next review is due after the policy's months."""
        with self._uow_factory() as uow:
            known = uow.customers.get(tenant, customer_id)
            _check_version(known.version, expected_version, f"customer {customer_id}")
            changed = replace(
                known, review_due_on=self._next_review(self._today()), version=known.version + 1
            )
            uow.customers.save(changed)
            uow.commit()
        return changed

    # --- contacts ---

    def add_contact(self, contact: Contact) -> Contact:
        """Add somebody to speak to; the first of a customer or site is its primary one, another primary replaces it."""
        checked = _checked_contact(contact)
        with self._uow_factory() as uow:
            uow.customers.get(contact.tenant, contact.customer_id)
            self._check_site(uow, contact)
            present = self._primary(uow, checked)
            made = replace(checked, primary=checked.primary or present is None)
            if made.primary and present is not None:
                uow.relations.contacts.save(replace(present, primary=False))
            saved = uow.relations.contacts.add(made)
            uow.commit()
        return saved

    def change_contact(self, contact: Contact) -> Contact:
        """Replace a contact; `contact.version` is the one that was read."""
        checked = _checked_contact(contact)
        with self._uow_factory() as uow:
            known = uow.relations.contacts.get(contact.tenant, contact.contact_id)
            if known.customer_id != contact.customer_id:
                raise NotFound(f"there is no contact {contact.contact_id} of {contact.customer_id}")
            self._check_site(uow, contact)
            present = self._primary(uow, checked)
            if checked.primary and checked.active and present and present.contact_id != contact.contact_id:
                uow.relations.contacts.save(replace(present, primary=False))
            saved = uow.relations.contacts.save(checked)
            uow.commit()
        return saved

    # --- the customer's own changes ---

    def propose(
        self, tenant: TenantId, customer_id: CustomerId, changes: dict[str, str], *, by: str
    ) -> FileChange:
        """Keep changes that a customer proposes to the own file until somebody decides (requirement 109)."""
        unknown = sorted(changes.keys() - set(SELF_SERVICE))
        if unknown or not changes:
            raise InvalidValue(f"propose one or more of {', '.join(SELF_SERVICE)}")
        now = self._clock.now()
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            waiting = uow.relations.file_changes.where(tenant, customer_id=customer_id, state="proposed")
            if len(waiting) >= 20:
                raise Conflict("twenty proposals wait already; let somebody decide on them first")
            made = uow.relations.file_changes.add(
                FileChange(
                    tenant=tenant,
                    change_id=0,
                    customer_id=customer_id,
                    proposed_at=now,
                    proposed_by=by,
                    changes=dict(changes),
                )
            )
            uow.commit()
        return made

    def decide(self, tenant: TenantId, change_id: int, *, accept: bool, by: str) -> FileChange:
        """Accept or refuse proposed changes; accepted ones are in the file at once and count as its review."""
        with self._uow_factory() as uow:
            change = uow.relations.file_changes.get(tenant, change_id)
            if change.state != "proposed":
                raise Conflict(f"proposal {change_id} is {change.state} already")
            state = "accepted" if accept else "refused"
            decided = replace(change, state=state, decided_at=self._clock.now(), decided_by=by)
            saved = uow.relations.file_changes.save(decided)
            if accept:
                known = uow.customers.get(tenant, change.customer_id)
                fields: dict[str, str] = {
                    name: text for name, text in change.changes.items() if name in SELF_SERVICE
                }
                due = self._next_review(self._today())
                changed = replace(known, **fields, review_due_on=due, version=known.version + 1)  # type: ignore[arg-type]  # text fields only
                uow.customers.save(_checked(changed))
            uow.commit()
        return saved

    def _today(self) -> date:
        return local_day(self._clock.now(), self._policy.sla.calendar.time_zone)

    def _next_review(self, today: date) -> date:
        return months_before(today, -self._policy.relations.care.file_review_months)

    def _check_referrer(self, uow: UnitOfWork, customer: Customer) -> None:
        if customer.referred_by is None:
            return
        if customer.referred_by == customer.customer_id:
            raise InvalidValue("a customer cannot refer itself")
        if uow.customers.find(customer.tenant, customer.referred_by) is None:
            raise InvalidValue(f"referred_by: there is no customer {customer.referred_by}")

    def _check_site(self, uow: UnitOfWork, contact: Contact) -> None:
        if contact.site_id is None:
            return
        site = uow.sites.find(contact.tenant, contact.site_id)
        if site is None or site.customer_id != contact.customer_id:
            raise InvalidValue(f"site {contact.site_id} is not one of customer {contact.customer_id}")

    def _primary(self, uow: UnitOfWork, contact: Contact) -> Contact | None:
        rows = uow.relations.contacts.where(contact.tenant, customer_id=contact.customer_id, primary=True)
        return next((row for row in rows if row.active and row.site_id == contact.site_id), None)


def _checked(customer: Customer, *, has_contact: bool = False) -> Customer:
    """Return the customer if its file fits its kind."""
    if not customer.name.strip():
        raise InvalidValue("a customer needs a name")
    company = customer.kind is CustomerKind.COMPANY
    if company and not (customer.contact_name or "").strip() and not has_contact:
        raise InvalidValue("a company needs a contact person: contact_name")
    if company and customer.person is not None:
        raise InvalidValue("a company has no file of a person; use company")
    if not company and customer.company is not None:
        raise InvalidValue("a person has no file of a company; use person")
    if customer.price_sensitivity not in (None, "low", "mid", "high"):
        raise InvalidValue("price_sensitivity must be low, mid or high")
    _check_file(customer.company or customer.person)
    return customer


def _check_file(held: CompanyFile | PersonFile | None) -> None:
    if held is None:
        return
    if held.past_defaults < 0:
        raise InvalidValue("past_defaults cannot be negative")
    if isinstance(held, CompanyFile):
        numbers = (held.founded_year, held.registered_capital, held.employees)
        if any(number is not None and number < 0 for number in numbers):
            raise InvalidValue("founded_year, registered_capital and employees cannot be negative")


def _checked_contact(contact: Contact) -> Contact:
    if not contact.name.strip():
        raise InvalidValue("a contact needs a name")
    if not contact.channels:
        raise InvalidValue("a contact needs at least one channel")
    quiet = (contact.quiet_from, contact.quiet_until)
    if (quiet[0] is None) != (quiet[1] is None):
        raise InvalidValue("quiet hours need a beginning and an end")
    if any(minutes is not None and not 0 <= minutes < _DAY_MINUTES for minutes in quiet):
        raise InvalidValue("quiet hours are minutes after midnight, 0 to 1439")
    return contact


def _check_version(present: int, expected: int, what: str) -> None:
    if present != expected:
        raise Conflict(f"{what} was changed meanwhile (version {present}, not {expected}); read it again")
