"""Stories as data: a scenario file says who prints where, what happens when, and what the truth must then contain.

Instants are written `d30 14:02` (day of the scenario, UTC; local time of the sites is UTC plus their offset) so that
a story can be moved to today for a live run. The format is described in docs/simulators.md.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from simulators.device import DeviceSpec, Fleet, Roster, Script, SiteSpec
from simulators.device.mishaps import CALM, MishapRates, default_rates, mishap_rates
from simulators.device.roster import (
    BoardSwap,
    FirmwareCampaign,
    PowerCut,
    ScriptedFault,
    ScriptedSwap,
    Silence,
)
from simulators.models import SimulatedModel, default_models
from simulators.mqtt_agent import MqttChaos
from simulators.snmp_faults import SnmpFaults

FOLDER: Final = Path(__file__).parent / "scenarios"
_KNOWN_KEYS: Final = frozenset(
    {
        "title", "story", "about", "start", "days", "show_from", "poll_minutes", "seed", "holidays", "mishaps", "site",
        "device", "power_cut", "fault", "swap", "campaign", "silence", "board_swap", "mqtt", "snmp", "expect",
    }
)  # fmt: skip


class BadScenario(ValueError):
    """A scenario file that cannot be understood; the message names the file and the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One story, ready to be simulated."""

    name: str
    title: str
    about: str
    story: int | None
    start: date
    days: int
    show_from: datetime
    poll_every: timedelta
    seed: int
    roster: Roster
    script: Script
    models: Mapping[str, SimulatedModel]
    mqtt: MqttChaos
    snmp_faults: Mapping[str, SnmpFaults]
    expect: Mapping[str, Any] = field(default_factory=dict)
    mishaps: MishapRates = CALM

    @property
    def end(self) -> datetime:
        """The instant after the last one of the story."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC) + timedelta(
            days=self.days
        )

    def fleet(self, *, keep_days: int | None = None) -> Fleet:
        """Return the fleet of the story, before its first day."""
        return Fleet(
            self.roster,
            seed=self.seed,
            start=self.start,
            models=self.models,
            script=self.script,
            keep_days=keep_days,
            mishaps=self.mishaps,
        )


def scenario_names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship with Drumbeat."""
    return tuple(path.stem for path in sorted(FOLDER.glob("*.toml")))


def scenario_path(name_or_file: str | Path) -> Path:
    """Return the file of a scenario by its name or path. Raises `BadScenario` with the known names."""
    path = Path(name_or_file)
    if path.suffix == ".toml" and path.is_file():
        return path
    shipped = FOLDER / f"{name_or_file}.toml"
    if shipped.is_file():
        return shipped
    raise BadScenario(
        f"no scenario {str(name_or_file)!r}: give a .toml file or one of {', '.join(scenario_names())}"
    )


def load_scenario(
    name_or_file: str | Path,
    *,
    seed: int | None = None,
    devices: int | None = None,
    show_on: date | None = None,
) -> Scenario:
    """Return a scenario. `devices` scales its groups of devices, `show_on` moves the story to that week.

    With `show_on` the story moves by whole weeks, so that weekdays stay and the scene falls on that day or up to six
    days before. Raises `BadScenario`.
    """
    path = scenario_path(name_or_file)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadScenario(f"{path.name}: {error}") from error
    unknown = set(table) - _KNOWN_KEYS
    if unknown:
        raise BadScenario(f"{path.name}: unknown keys {', '.join(sorted(unknown))}")
    try:
        return _Reader(path.stem, table, seed, devices, show_on).scenario()
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]!r} is missing or unknown" if isinstance(error, KeyError) else str(error)
        raise BadScenario(f"{path.name}: {what}") from error


def _mishaps(stated: bool | dict[str, Any]) -> MishapRates:
    """Return the rates that a story states: none, those of mishaps.toml (true), or a table of its own."""
    if isinstance(stated, bool):
        return default_rates() if stated else CALM
    return mishap_rates(stated)


class _Reader:
    """Reads one scenario table; holds what several sections need."""

    def __init__(
        self, name: str, table: dict[str, Any], seed: int | None, devices: int | None, show_on: date | None
    ) -> None:
        self.name = name
        self.table = table
        self.models = default_models()
        self.start: date = table["start"]
        if show_on is not None:
            scene = self.start + timedelta(days=_day_and_minute(table.get("show_from", "d0 00:00"))[0])
            self.start += timedelta(weeks=(show_on - scene).days // 7)
        self.midnight = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        self.seed = table.get("seed", 1) if seed is None else seed
        self.roster = self._roster(devices)
        self.ids = {spec.device_id for spec in self.roster.devices}

    def scenario(self) -> Scenario:
        table = self.table
        return Scenario(
            name=self.name,
            title=table["title"],
            about=table.get("about", ""),
            story=table.get("story"),
            start=self.start,
            days=table["days"],
            show_from=self._at(table.get("show_from", "d0 00:00")),
            poll_every=timedelta(minutes=table.get("poll_minutes", 15)),
            seed=self.seed,
            roster=self.roster,
            script=self._script(),
            models=self.models,
            mqtt=MqttChaos(**table.get("mqtt", {})),
            snmp_faults={
                device: SnmpFaults(**{"seed": self.seed, **faults})
                for device, faults in table.get("snmp", {}).items()
                if device in self.ids
            },
            expect=table.get("expect", {}),
            mishaps=_mishaps(table.get("mishaps", False)),
        )

    # --- places and devices ----------------------------------------------------------------------------------------

    def _roster(self, devices: int | None) -> Roster:
        rows = self.table["site"]
        stated = sum(row.get("devices", 0) for row in rows)
        factor = 1.0 if devices is None or not stated else devices / stated
        sites, specs = [], []
        for row in rows:
            sites.append(
                SiteSpec(
                    site_id=row["id"],
                    profile=row.get("profile", "office"),
                    utc_offset_hours=row.get("utc_offset_hours", 8.0),
                )
            )
            count = row.get("devices", 0)
            specs += self._group(
                row, count if devices is None else max(round(count * factor), 1 if count else 0)
            )
        specs += [self._device(row) for row in self.table.get("device", ())]
        holidays = frozenset(self._moved(day) for day in self.table.get("holidays", ()))
        return Roster(sites=tuple(sites), devices=tuple(specs), holidays=holidays)

    def _moved(self, day: date) -> date:
        shift: timedelta = self.start - self.table["start"]
        return day + shift

    def _group(self, row: Mapping[str, Any], count: int) -> list[DeviceSpec]:
        models: Sequence[str] = row.get("models") or sorted(self.models)
        for model in models:
            self.models[model]  # an unknown model is an error of the file
        return [
            DeviceSpec(
                device_id=f"{row['id']}-{i + 1:03d}",
                site_id=row["id"],
                model_id=models[i % len(models)],
                pages_a_day=row.get("pages_a_day"),
            )
            for i in range(count)
        ]

    def _device(self, row: dict[str, Any]) -> DeviceSpec:
        fields = {
            {"id": "device_id", "site": "site_id", "model": "model_id"}.get(k, k): v for k, v in row.items()
        }
        spec = DeviceSpec(**fields)
        self.models[spec.model_id]
        return spec

    # --- what happens ----------------------------------------------------------------------------------------------

    def _at(self, text: str) -> datetime:
        day, minute = _day_and_minute(text)
        return self.midnight + timedelta(days=day, minutes=minute)

    def _day(self, text: str) -> date:
        return self._at(text).date()

    def _devices(self, row: Mapping[str, Any]) -> list[str]:
        """Return the devices that a row names: one, a list, or a share of a site (`site`, `first`)."""
        if "site" in row:
            there = [spec.device_id for spec in self.roster.devices if spec.site_id == row["site"]]
            return there[: row.get("first", len(there))]
        names: list[str] = row["devices"] if "devices" in row else [row["device"]]
        return [name for name in names if name in self.ids or self._unknown(name)]

    def _unknown(self, name: str) -> bool:
        """Skip a device that scaling removed; one of a site that does not exist is an error."""
        site = name.rsplit("-", 1)[0]
        if site not in {spec.site_id for spec in self.roster.sites}:
            raise ValueError(f"device {name!r} is unknown")
        return False

    def _script(self) -> Script:
        table = self.table
        return Script(
            power_cuts=[
                PowerCut(site_id=r["site"], start=self._at(r["from"]), end=self._at(r["until"]))
                for r in table.get("power_cut", ())
            ],
            faults=[fault for row in table.get("fault", ()) for fault in self._faults(row)],
            swaps=[swap for row in table.get("swap", ()) for swap in self._swaps(row)],
            campaigns=[self._campaign(row) for row in table.get("campaign", ())],
            silences=[
                Silence(device_id=name, start=self._at(row["from"]), end=self._at(row["until"]))
                for row in table.get("silence", ())
                for name in self._devices(row)
            ],
            board_swaps=[
                BoardSwap(device_id=name, day=self._day(row["day"]), counter=row.get("counter", 0))
                for row in table.get("board_swap", ())
                for name in self._devices(row)
            ],
        )

    def _faults(self, row: Mapping[str, Any]) -> list[ScriptedFault]:
        step = timedelta(minutes=row.get("every_minutes", 0))
        components: Sequence[str] = row.get("components") or [row["component"]]
        return [
            ScriptedFault(
                device_id=name,
                component=components[i % len(components)],
                start=self._at(row["at"]) + i * step,
                repaired_on=self._day(row["repaired"]) if "repaired" in row else None,
                warning_days=row.get("warning_days", 0),
            )
            for i, name in enumerate(self._devices(row))
        ]

    def _swaps(self, row: Mapping[str, Any]) -> list[ScriptedSwap]:
        return [
            ScriptedSwap(
                device_id=name,
                slot=row.get("slot", 1) - 1,
                day=self._day(row["day"]),
                used=row.get("used", 0.0),
                when_left=row.get("when_left"),
                reinsert=row.get("reinsert", False),
            )
            for name in self._devices(row)
        ]

    def _campaign(self, row: Mapping[str, Any]) -> FirmwareCampaign:
        return FirmwareCampaign(
            model_id=row["model"],
            code=row["code"],
            start=self._at(row["at"]),
            spread_hours=row.get("spread_hours", 36.0),
            share=row.get("share", 1.0),
            firmware=row.get("firmware", "9.9.9"),
            fixed_on=self._at(row["fixed"]) if "fixed" in row else None,
        )


def _day_and_minute(text: str) -> tuple[int, int]:
    """Return day and minute of `d30 14:02` or `d30`. Raises `ValueError`."""
    day, _, clock = text.partition(" ")
    if not day.startswith("d"):
        raise ValueError(f"{text!r} is not an instant like 'd30 14:02'")
    hours, _, minutes = (clock or "00:00").partition(":")
    return int(day[1:]), int(hours) * 60 + int(minutes)
