"""The figures of a fleet's standing added up reading by reading: the plain form of what databases keep added up."""

from collections.abc import Sequence
from typing import Final

from crm_core.device_state import device_state
from crm_core.domain.standing import DeviceDimensions, Dimension, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DeviceReading

_CRITICAL, _WARNING = 3, 4
_FIELDS: Final = {"region": "region", "customer": "customer_id", "site": "site_id", "model": "model_id"}


def value_of(device: DeviceDimensions, by: Dimension) -> str:
    """Return the value of one dimension; empty when there is none."""
    return getattr(device, _FIELDS[by]) or "" if by else ""


def summed_up(value: str, newest: Sequence[DeviceReading], wanted: StandingFilter) -> FleetStanding:
    """Return the figures over the newest readings of some devices."""
    states = [device_state(reading) for reading in newest]
    percents = [state.lowest_supply_percent for state in states]
    known = [percent for percent in percents if percent is not None]
    return FleetStanding(
        value=value,
        devices=len(states),
        silent=sum(state.last_seen < wanted.silent_before for state in states),
        low_supply=sum(percent < wanted.low_percent for percent in known),
        critical=sum(state.worst_alert_severity == _CRITICAL for state in states),
        warning=sum(state.worst_alert_severity == _WARNING for state in states),
        with_errors=sum(bool(state.error_names) for state in states),
        mean_lowest_percent=sum(known) / len(known) if known else None,
    )
