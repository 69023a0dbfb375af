"""When parts were last renewed, as finished work orders tell: most machines do not say it of their parts.

Without this a part that was replaced would seem worn for ever, and its ticket would come back every night.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from crm_core.domain.identity import TenantId, WorkOrderId
from crm_core.domain.service import WorkOrder, WorkOrderState
from crm_core.ports import UnitOfWork, WorkOrderFilter

#: Device and component -> life count when the part was fitted.
PartFits = Mapping[tuple[str, str], int]

#: What a technician renews with a maintenance kit.
KIT: Final = ("maintenance_kit", "fuser", "transfer", "drum", "feed_rollers", "developer")
FIXED: Final = "fixed"
_DONE: Final = WorkOrderFilter(states=frozenset({WorkOrderState.DONE}), limit=100_000)
_PART_CAUSES: Final = ("life.", "failure_risk.", "fault.")


@dataclass(slots=True)
class FitLedger:
    """Remembers which work orders were read, so that each is read once."""

    fits: dict[tuple[str, str], int] = field(default_factory=dict)
    _read: set[WorkOrderId] = field(default_factory=set)

    def take(self, uow: UnitOfWork, tenant: TenantId) -> PartFits:
        """Return what all finished work orders of a tenant say; the latest fit of a part counts."""
        fresh = [
            order for order in uow.work_orders.list(tenant, _DONE) if order.work_order_id not in self._read
        ]
        for order in sorted(fresh, key=lambda order: order.work_order_id):
            self._read.add(order.work_order_id)
            if order.outcome == FIXED and order.count_after is not None:
                for component in _components(uow, order):
                    key = (str(order.device_id), component)
                    self.fits[key] = max(order.count_after, self.fits.get(key, 0))
        return self.fits


def _components(uow: UnitOfWork, order: WorkOrder) -> set[str]:
    """Return the parts that a finished order renewed, by the causes that it served."""
    causes = {uow.tickets.get(order.tenant, ticket_id).cause for ticket_id in order.ticket_ids}
    causes |= {order.confirmed_cause} if order.confirmed_cause else set()
    named = {cause.partition(".")[2] for cause in causes if cause.startswith(_PART_CAUSES)}
    return named | set(KIT) if "maintenance_kit" in named else named
