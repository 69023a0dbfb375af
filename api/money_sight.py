"""What of contracts and invoices is in sight: the account's own customer, the regions of staff, or everything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.access import Principal, check_sees_customer
from crm_core.billing.settling import get_invoice
from crm_core.domain.billing import Invoice, InvoiceKind, InvoiceState
from crm_core.domain.contracts import Agreement, ContractState
from crm_core.ports import UnitOfWork

_MOST: Final = 10_000


def customers_in_sight(principal: Principal, uow: UnitOfWork) -> frozenset[str] | None:
    """Return the ids of the customers whose money is in sight; None means all."""
    if principal.bound_to is not None:
        return frozenset({principal.bound_to})
    if principal.sees_region(None):
        return None
    return frozenset(
        site.customer_id for site in uow.sites.all(principal.tenant) if principal.sees_region(site.region)
    )


def visible_invoice(principal: Principal, uow: UnitOfWork, number: str) -> Invoice:
    """Return an invoice in sight, or raise the problem of an absent one."""
    invoice = get_invoice(uow, principal.tenant, number)
    check_sees_customer(principal, uow, invoice.customer_id)
    return invoice


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceFilter:
    """Which invoices; None means any. `before` is a cursor on the id (newest first)."""

    customer_id: str | None = None
    contract_id: str | None = None
    state: InvoiceState | None = None
    kind: InvoiceKind | None = None
    before: int | None = None
    limit: int = 50


def invoices_in_sight(principal: Principal, uow: UnitOfWork, which: InvoiceFilter) -> Sequence[Invoice]:
    """Return invoices in sight, newest first."""
    seen = customers_in_sight(principal, uow)
    customer = principal.bound_to if principal.bound_to is not None else which.customer_id
    if principal.bound_to is not None and which.customer_id not in (None, principal.bound_to):
        return ()
    rows = uow.billing.invoices.where(
        principal.tenant,
        before=which.before,
        limit=which.limit if seen is None or principal.bound_to is not None else _MOST,
        customer_id=customer,
        contract_id=which.contract_id,
        state=which.state,
        kind=which.kind,
    )
    return [row for row in rows if seen is None or row.customer_id in seen][: which.limit]


def agreements_in_sight(
    principal: Principal,
    uow: UnitOfWork,
    *,
    customer_id: str | None = None,
    state: ContractState | None = None,
    before: int | None = None,
) -> list[Agreement]:
    """Return agreements in sight, newest first; customers do not see drafts."""
    seen = customers_in_sight(principal, uow)
    rows = uow.agreements.contracts.where(
        principal.tenant, before=before, customer_id=customer_id, state=state
    )
    hidden = ContractState.DRAFT if principal.bound_to is not None else None
    return [row for row in rows if (seen is None or row.customer_id in seen) and row.state is not hidden]
