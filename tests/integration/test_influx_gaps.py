"""An InfluxDB that lost what it had confirmed: the comparison with the journal finds it and sends it again."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influx_gaps import JournalComparison
from collector.stores.influx_lines import DAILY, EVENT, READING, SUPPLY
from collector.stores.influx_store import InfluxTelemetryStore
from collector.stores.influxdb import InfluxServer
from collector.stores.reading_codec import at_us
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from crm_core.domain.identity import TenantId
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.ports import Landing
from tests.command_line import Shell
from tests.conftest import requires_server
from tests.telemetry_readings import START, reading
from tests.telemetry_servers import InfluxDaemon, influxd, running

pytestmark = pytest.mark.server
TENANT = TenantId("default")
FIRST_DAY, SECOND_DAY = START.date(), START.date() + timedelta(days=1)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDaemon]:
    """Run one server for this file."""
    with running(influxd(requires_server("influxd"), tmp_path_factory.mktemp("influx"))) as started:
        yield started


class World:
    """Two devices over two days, all of it delivered."""

    def __init__(self, folder: Path, daemon: InfluxDaemon, database: str) -> None:
        clock = VirtualClock(START)
        self.journal = SqliteTelemetryStore(folder / "telemetry.sqlite", clock, lines=True)
        self.server = InfluxServer(daemon.endpoint(database))
        self.server.prepare()
        outbox = Outbox(self.journal, clock)
        forwarder = InfluxForwarder(outbox, self.server)
        self.store = InfluxTelemetryStore(self.server, self.journal, forwarder)
        self.comparison = JournalComparison(self.journal, outbox, self.server.queries, forwarder.drain)
        self.store.append([Landing(reading=one, events=_events(one)) for one in _readings()])
        forwarder.drain()

    def lose(self, measurement: str, device: str, minutes: float | None = None) -> None:
        """Do to the server what a kill or an old backup does."""
        when = "" if minutes is None else f" AND time = {at_us(START + timedelta(minutes=minutes))}u"
        self.server.queries.command(f"DELETE FROM {measurement} WHERE device = '{device}'{when}")

    def answers(self) -> tuple[object, ...]:
        """Return what readers get to see."""
        until = START + timedelta(days=3)
        days = date.toordinal(FIRST_DAY) - date.toordinal(date(1970, 1, 1))
        return (
            [self.store.readings(TENANT, device, START, until) for device in ("d1", "d2")],
            self.store.events(TENANT, START, until),
            list(self.store.daily_meters(TENANT, days, days + 2)),
            list(self.store.daily_supplies(TENANT, days, days + 2)),
        )


def _readings() -> list[DeviceReading]:
    return [
        reading(device, minutes=minutes, seq=number, pages=1000 + number)
        for device in ("d1", "d2")
        for number, minutes in enumerate((0, 5, 10, 24 * 60, 24 * 60 + 5), start=1)
    ]


def _events(one: DeviceReading) -> tuple[TelemetryEvent, ...]:
    if one.polled_at.minute % 10:
        return ()
    return (
        TelemetryEvent(tenant="default", device_id=one.device_id or "", at=one.polled_at, kind="error_state", code="jammed", began=True),
    )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, daemon: InfluxDaemon, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, daemon, request.node.name)
    yield made
    made.store.close()


def test_nothing_is_lacking_where_nothing_was_lost(world: World) -> None:
    assert world.comparison.days() == [FIRST_DAY, SECOND_DAY]
    assert [world.comparison.gaps(day) for day in world.comparison.days()] == [[], []]


def test_lost_points_are_named_by_device_and_day_and_come_back(world: World) -> None:
    before = world.answers()
    world.lose(READING, "d1", minutes=5)
    world.lose(SUPPLY, "d1", minutes=5)
    world.lose(EVENT, "d2")
    world.lose(DAILY, "d2")
    assert world.answers() != before

    found = [gap for day in world.comparison.days() for gap in world.comparison.gaps(day)]
    assert {(gap.day, gap.device_id, gap.measurement, gap.missing) for gap in found} == {
        (FIRST_DAY, "d1", READING, 1), (FIRST_DAY, "d2", EVENT, 2), (SECOND_DAY, "d2", EVENT, 1),
    }  # fmt: skip
    assert sum(world.comparison.mend(day) for day in world.comparison.days()) == 4
    assert world.answers() == before
    assert [world.comparison.gaps(day) for day in world.comparison.days()] == [[], []]


def test_an_event_that_was_taken_back_is_not_missed(world: World) -> None:
    second = START + timedelta(minutes=10)
    late = reading("d1", minutes=7, seq=9)
    world.store.append([Landing(reading=late, following_at=second)])
    assert len(world.store.events(TENANT, START, second + timedelta(minutes=1))) == 3
    assert world.comparison.gaps(FIRST_DAY) == []


def test_what_still_waits_is_not_taken_for_lost(world: World) -> None:
    world.store.append([Landing(reading=reading("d1", minutes=15, seq=20))])
    assert world.comparison.gaps(FIRST_DAY) == []


def test_the_command_tells_what_is_lacking_and_sends_it_again(
    tmp_path: Path, daemon: InfluxDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, daemon, "command")
    world.lose(READING, "d2", minutes=0)
    world.store.close()
    run = Shell(capsys, monkeypatch)
    over_influx = daemon.settings() | {"DRUMBEAT_INFLUXDB_DATABASE": "command"}

    found = run("store", "compare", "--json", data=tmp_path, **over_influx)
    assert found.returncode == 1
    (gap,) = json.loads(found.stdout)["gaps"]
    assert (gap["device_id"], gap["day"], gap["kept"], gap["found"]) == ("d2", str(FIRST_DAY), 3, 2)

    other_day = run("store", "compare", "--first", str(SECOND_DAY), data=tmp_path, **over_influx)
    assert (other_day.returncode, other_day.stdout.strip()) == (
        0,
        "days compared: 1, points that InfluxDB lacks: 0",
    )

    assert "d2" in run("store", "compare", "--mend", data=tmp_path, **over_influx).stdout
    assert json.loads(run("store", "compare", "--json", data=tmp_path, **over_influx).stdout)["gaps"] == []


def test_without_influxdb_there_is_nothing_to_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Shell(capsys, monkeypatch)("store", "compare", data=tmp_path)
    assert done.returncode != 0
    assert "telemetry.store is not influxdb" in done.stderr
