"""Fleet health in one query: counts over the newest states of a tenant's devices, by region, without a reading decoded.

The dimensions (site, customer, region, model) are the CRM's and are kept in step here by `keep_dimensions`, so that the
telemetry database answers alone.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from collector.stores.reading_codec import at_us
from collector.stores.sqlite import SqliteTelemetryStore

_FIGURES: Final = """count(*), sum(n.at_us < :silent), sum(n.lowest_percent < :low), sum(n.worst_severity = 3),
    sum(n.worst_severity = 4), sum(n.errors <> ''), avg(n.lowest_percent), sum(n.life_count)"""
_WHOLE: Final = f"SELECT '', {_FIGURES} FROM newest n WHERE n.tenant = :tenant"
_BY_REGION: Final = f"""SELECT coalesce(d.region, ''), {_FIGURES} FROM newest n CROSS JOIN device d ON d.id = n.device
    WHERE n.tenant = :tenant GROUP BY 1 ORDER BY 1"""


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
class RegionSummary:
    """Devices: how many, and how many of them are in which trouble. Region '' stands for all, or for those without one."""

    region: str
    devices: int
    silent: int
    low_supply: int
    critical: int
    warning: int
    with_errors: int
    mean_lowest_percent: float | None
    pages: int


def keep_dimensions(store: SqliteTelemetryStore, devices: Iterable[DeviceDimensions]) -> None:
    """Write the dimensions of devices, before or after their first reading."""
    rows = [(d.tenant, d.device_id, d.site_id, d.customer_id, d.region, d.model_id) for d in devices]

    def work(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO device (tenant, device_id, site_id, customer_id, region, model_id) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (tenant, device_id) DO UPDATE SET site_id = excluded.site_id, "
            "customer_id = excluded.customer_id, region = excluded.region, model_id = excluded.model_id",
            rows,
        )

    store.transaction(work)


def fleet_summary(
    store: SqliteTelemetryStore,
    tenant: str,
    *,
    silent_before: datetime,
    low_percent: float,
    by_region: bool = False,
) -> Sequence[RegionSummary]:
    """Return a summary of every device that ever spoke: one row, or one a region (which takes several times as long)."""
    given = {"tenant": tenant, "silent": at_us(silent_before), "low": low_percent}
    with store.reading() as db:
        rows = db.execute(_BY_REGION if by_region else _WHOLE, given).fetchall()
    return [
        RegionSummary(
            region=region, devices=devices, silent=silent or 0, low_supply=low or 0, critical=critical or 0,
            warning=warning or 0, with_errors=errors or 0, mean_lowest_percent=mean, pages=pages or 0,
        )
        for region, devices, silent, low, critical, warning, errors, mean, pages in rows
    ]  # fmt: skip
