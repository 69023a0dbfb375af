"""When the silence of a device is trouble: long enough by the wall clock, and through enough opening hours.

Nights, weekends and holidays are no fault: a device may be switched off then.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from crm_core.business_time import elapsed_business
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Condition, Signal, SignalOrigin, TicketLevel

_LONGEST: Final = timedelta(days=3660)  # who was not heard for ten years is silent by any policy
_MICROSECOND: Final = timedelta(microseconds=1)


def is_silent(policy: PolicyBook, since: datetime | None, now: datetime) -> bool:
    """Return True if a device that was last seen at `since` should have spoken by `now`; None says nothing."""
    triage = policy.triage
    if since is None or now - since < triage.silent_after:
        return False
    return elapsed_business(policy.sla.calendar, since, now) >= triage.silent_business_time


def heard_since(device: Device, last_seen: datetime | None) -> datetime | None:
    """Return since when silence counts: the last reading, or the registration of a device that should report.

    None for a device that nobody can hear: never polled, since it has no address (a stand-by machine, one off line).
    """
    return last_seen or (device.registered_at if device.can_be_heard else None)


def silent_until(policy: PolicyBook, now: datetime) -> datetime | None:
    """Return the last instant T such that a device last heard at T is silent now; None when nobody can be.

    Silence only grows with time, so the instant is found by halving; figures of whole fleets compare with it.
    """
    quiet, loud = now - _LONGEST, now - policy.triage.silent_after + _MICROSECOND
    if not is_silent(policy, quiet, now):
        return None
    while loud - quiet > _MICROSECOND:
        middle = quiet + (loud - quiet) // 2
        if is_silent(policy, middle, now):
            quiet = middle
        else:
            loud = middle
    return quiet


def signal_of(
    tenant: TenantId, device_id: DeviceId, since: datetime | None, now: datetime, *, silent: bool
) -> Signal:
    """Return what silence says as a signal, so that it raises and clears like any other cause."""
    conditions: Iterable[Condition] = ()
    if silent and since is not None:
        hours = round((now - since).total_seconds() / 3600)
        detail: dict[str, str | int | float | None] = {"hours": hours, "last_seen": since.isoformat()}
        conditions = (Condition(cause="silence", level=TicketLevel.L1, category="silence", detail=detail),)
    return Signal(
        tenant=tenant,
        device_id=device_id,
        observed_at=now,
        origin=SignalOrigin.SILENCE,
        evidence=f"last_seen:{since.isoformat() if since else 'never'}",
        conditions=tuple(conditions),
    )
