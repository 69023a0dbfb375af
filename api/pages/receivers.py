"""Who a message is for, by name: people read names, not the keys of records."""

from collections.abc import Iterable

from api.schemas.notices import NoticeBody
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.notices import ReceiverKind
from crm_core.ports import UnitOfWork


def receiver_names(
    uow: UnitOfWork, tenant: TenantId, rows: Iterable[NoticeBody]
) -> dict[tuple[str, str], str]:
    """Return the names of the receivers by (kind, id); programs and those without a record keep their key."""
    known = {
        (ReceiverKind.TECHNICIAN, str(row.technician_id)): row.name for row in uow.technicians.all(tenant)
    }
    known |= {(ReceiverKind.USER, str(row.user_id)): row.name for row in uow.users.all(tenant)}

    def named(kind: ReceiverKind, key: str) -> str | None:
        customer = uow.customers.find(tenant, CustomerId(key)) if kind is ReceiverKind.CUSTOMER else None
        return customer.name if customer else known.get((kind, key))

    found = {(row.receiver_kind, row.receiver_id) for row in rows}
    return {(kind.value, key): named(kind, key) or key for kind, key in found}
