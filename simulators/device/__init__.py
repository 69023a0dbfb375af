"""Seeded physics of a fleet of printers: `Fleet` for all at once, `SimulatedDevice` for one at an instant."""

from simulators.device.device import SimulatedDevice, devices_of, poll_times
from simulators.device.fleet import Fleet
from simulators.device.roster import DeviceSpec, Roster, Script, SiteSpec, make_roster
from simulators.device.state import PrinterState

__all__ = [
    "DeviceSpec",
    "Fleet",
    "PrinterState",
    "Roster",
    "Script",
    "SimulatedDevice",
    "SiteSpec",
    "devices_of",
    "make_roster",
    "poll_times",
]
