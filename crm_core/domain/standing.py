"""How a fleet stands in figures, by the places that its devices belong to; and which finished days changed since.

Telemetry stores keep both beside the readings, so that a manager's question about 100,000 devices is a look-up.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from crm_core.domain.identity import DeviceId

#: What a summary may be divided by; empty: not at all.
Dimension = Literal["", "region", "customer", "site", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDimensions:
    """Where a device belongs, as the CRM says."""

    tenant: str
    device_id: str
    site_id: str | None = None
    customer_id: str | None = None
    region: str | None = None
    model_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFilter:
    """What counts as silent (not heard since `silent_before`, aware UTC) and as low (below `low_percent`, whole)."""

    silent_before: datetime
    low_percent: int
    by: Dimension = ""


class FleetStanding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Devices that ever spoke: how many, and how many of them are in which trouble, by their newest readings.

    `value` is the region, customer, site or model; empty for the whole fleet and for devices that have none.
    `critical` and `warning` go by the worst alert; the mean is over devices with a consumable of known level.
    """

    value: str
    devices: int
    silent: int
    low_supply: int
    critical: int
    warning: int
    with_errors: int
    mean_lowest_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedDays:
    """Devices and UTC days (since 1970) whose roll-up changed after the day was over; ask again with `mark`."""

    mark: int
    days: tuple[tuple[DeviceId, int], ...]
