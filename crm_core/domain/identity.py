"""Names of things: which tenant, customer, site and device a record speaks about.

Identifiers of devices and sites travel in MQTT topics, keys and URLs, so their alphabet is narrow.
"""

import re
from typing import Final, NewType

from crm_core.domain.errors import InvalidValue

TenantId = NewType("TenantId", str)
CustomerId = NewType("CustomerId", str)
SiteId = NewType("SiteId", str)
ContractId = NewType("ContractId", str)
DeviceId = NewType("DeviceId", str)
ModelId = NewType("ModelId", str)
TechnicianId = NewType("TechnicianId", str)
UserId = NewType("UserId", str)
TicketId = NewType("TicketId", int)
WorkOrderId = NewType("WorkOrderId", int)
SignalId = NewType("SignalId", int)
ForecastId = NewType("ForecastId", int)

DEFAULT_TENANT: Final = TenantId("default")
IDENTIFIER_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)


def checked_identifier(text: str, what: str) -> str:
    """Return `text` if it may name a tenant, site or device; else raise `InvalidValue` naming `what`."""
    if not _IDENTIFIER.fullmatch(text):
        raise InvalidValue(
            f"{what} {text[:80]!r} may hold only letters, digits, '.', '_' and '-' (at most 64, not starting with a sign)"
        )
    return text


def ticket_number(ticket_id: TicketId) -> str:
    """Return the number that people use for a ticket, for example `T-000042`."""
    return f"T-{ticket_id:06d}"


def work_order_number(work_order_id: WorkOrderId) -> str:
    """Return the number that people use for a work order, for example `W-000042`."""
    return f"W-{work_order_id:06d}"
