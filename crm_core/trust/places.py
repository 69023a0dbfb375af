"""Where else personal data of a customer lies: contacts, what was spoken, complaints, answers, proposed file changes.

Erasing empties the words and names; that something happened, and when, stays for the figures of the business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from crm_core.domain.customer_files import Contact
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.relations import Complaint, FileChange, Interaction, Survey
from crm_core.ports import UnitOfWork

ERASED: Final = "(erased)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalPlace:
    """A kind of record that holds personal data of a customer: how to give it out, and how to erase it.

    `give_out` returns the records; `erase` empties them and returns how many.
    """

    name: str
    give_out: Callable[[UnitOfWork, TenantId, CustomerId], Sequence[Any]]
    erase: Callable[[UnitOfWork, TenantId, CustomerId], int]


def relations_places() -> tuple[PersonalPlace, ...]:
    """Return the places of the customers' area."""
    return (
        _place("contacts", "contacts", _contact),
        _place("interactions", "interactions", _interaction),
        _place("complaints", "complaints", _complaint),
        _place("surveys", "surveys", _survey),
        _place("file_changes", "file_changes", _file_change),
    )


def _place(name: str, attribute: str, emptied: Callable[[Any], Any]) -> PersonalPlace:
    def give_out(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> Sequence[Any]:
        found: Sequence[Any] = getattr(uow.relations, attribute).where(tenant, customer_id=customer_id)
        return found

    def erase(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> int:
        changed = 0
        for record in give_out(uow, tenant, customer_id):
            after = emptied(record)
            if after != record:
                getattr(uow.relations, attribute).save(after)
                changed += 1
        return changed

    return PersonalPlace(name=name, give_out=give_out, erase=erase)


def _contact(contact: Contact) -> Contact:
    return replace(contact, name=ERASED, phone=None, email=None, wechat=None, active=False)


def _interaction(interaction: Interaction) -> Interaction:
    return replace(
        interaction,
        content=ERASED,
        needs=ERASED if interaction.needs else "",
        feedback=ERASED if interaction.feedback else "",
    )


def _complaint(complaint: Complaint) -> Complaint:
    return replace(
        complaint, subject=ERASED, text=ERASED, closing_call=ERASED if complaint.closing_call else ""
    )


def _survey(survey: Survey) -> Survey:
    return replace(survey, comment=ERASED if survey.comment else "")


def _file_change(change: FileChange) -> FileChange:
    return replace(change, changes=dict.fromkeys(change.changes, ERASED))
