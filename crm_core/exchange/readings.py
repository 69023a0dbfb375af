"""A row of a device list as a reading: what the list states and nothing else."""

from collections.abc import Mapping
from typing import Any, Final

from crm_core.domain.fleet import Device
from crm_core.domain.telemetry import (
    Counters,
    Derived,
    DerivedSupply,
    DeviceIdentity,
    DeviceReading,
    MarkerSupply,
    level_state,
    percent_of,
)

_COLOURS: Final = ("black", "cyan", "magenta", "yellow")


def reading_of_row(device: Device, values: Mapping[str, Any]) -> DeviceReading:
    """Return the reading that a row makes of a device (source `manual`).

    `total` is the usage counter; `billing_total` is the vendor's own count of billed pages, which differs on some
    machines (requirement 117), and stands apart as `total_printed`.
    """
    vendor = {
        name: values[field]
        for name, field in (("total_printed", "billing_total"), ("mono", "mono"), ("colour", "colour"))
        if field in values
    }
    supplies = []
    derived = []
    for number, colour in enumerate(_COLOURS, 1):
        percent = values.get(f"{colour}_percent")
        if percent is None:
            continue
        level = round(percent)
        supplies.append(
            MarkerSupply(
                index=f"1.{number}",
                name=f"{colour.capitalize()} toner",
                type="toner",
                unit=None,
                capacity=100,
                level=level,
                level_state=level_state(level),
                percent=percent_of(level, 100, None),
            )
        )
        derived.append(DerivedSupply(index=f"1.{number}", kind="toner", colour=colour))
    total = values.get("total")
    return DeviceReading(
        tenant=device.tenant,
        site_id=device.site_id,
        device_id=device.device_id,
        polled_at=values["at"],
        source="manual",
        identity=DeviceIdentity(model=device.model_name, serial=device.serial),
        counters=Counters(
            prt_marker_life_count={} if total is None else {"1.1": total},
            vendor=vendor,
        ),
        supplies=tuple(supplies),
        derived=Derived(supplies=tuple(derived)),
    )
