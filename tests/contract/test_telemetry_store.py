"""One suite for every telemetry store: memory (the oracle), SQLite, and a real InfluxDB written to in both ways."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import CollectorStore, Ingest
from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influx_store import InfluxTelemetryStore
from collector.stores.influxdb import InfluxServer
from collector.stores.memory import MemoryTelemetryStore
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.standing import DeviceDimensions, Dimension, FleetStanding, StandingFilter
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.ports import Landing
from crm_core.signals import conclude
from tests.conftest import requires_server
from tests.telemetry_readings import START, histories, reading
from tests.telemetry_servers import InfluxDaemon, PathMap, influxd, running

TENANT = TenantId("default")
DAY = (START - datetime(1970, 1, 1, tzinfo=UTC)).days
ALL_DAYS = (DAY - 10, DAY + 400)
NOW = START + timedelta(days=30)

MakeStore = Callable[[], CollectorStore]
_numbers = itertools.count()


class NoCodes:
    """A fault code book without codes."""

    def find(self, scheme: str, code: str, vendor: str | None = None) -> None:
        return None

    def for_alert(self, code: int | None, *, severity: int | None, group: int | None = None) -> None:
        return None

    def codes_in(self, text: str, vendor: str | None = None) -> tuple[str, ...]:
        return ()


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDaemon]:
    with running(influxd(requires_server("influxd"), tmp_path_factory.mktemp("influxd"))) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def client_url(influx: InfluxDaemon) -> Iterator[str]:
    """Return where influxdb-client can write: the server itself from 1.8 on, before that a proxy that maps the path."""
    if influx.version >= (1, 8):
        yield influx.url
        return
    with PathMap(influx.port) as proxy:
        yield f"http://127.0.0.1:{proxy.port}"
        assert proxy.client_writes > 0


@pytest.fixture(scope="module")
def old_write_url(influx: InfluxDaemon) -> str:
    if influx.version >= (1, 8):
        pytest.skip(f"by design: InfluxDB {influx.version} is written to at /api/v2/write")
    return influx.url


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        pytest.param("influxdb by /write", marks=pytest.mark.server),
        pytest.param("influxdb by influxdb-client", marks=pytest.mark.server),
    ]
)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Return a maker of fresh stores; all are closed at the end."""
    made: list[CollectorStore] = []
    clock = VirtualClock(NOW)

    def sqlite(*, lines: bool = False) -> SqliteTelemetryStore:
        return SqliteTelemetryStore(tmp_path / f"{next(_numbers)}.sqlite", clock, lines=lines)

    def over_influx(daemon: InfluxDaemon, url: str) -> CollectorStore:
        server = InfluxServer(replace(daemon.endpoint(f"db{next(_numbers)}"), url=url))
        server.prepare()
        journal = sqlite(lines=True)
        return InfluxTelemetryStore(server, journal, InfluxForwarder(Outbox(journal, clock), server))

    makers: dict[str, MakeStore] = {"memory": lambda: MemoryTelemetryStore(clock), "sqlite": sqlite}
    if request.param.startswith("influxdb"):
        url = request.getfixturevalue("client_url" if "client" in request.param else "old_write_url")
        makers[request.param] = partial(over_influx, request.getfixturevalue("influx"), url)

    def make() -> CollectorStore:
        made.append(makers[request.param]())
        return made[-1]

    yield make
    for store in made:
        store.close()


def ingest_into(store: CollectorStore) -> Ingest:
    return Ingest(store, partial(conclude, book=NoCodes()), MemoryDeadLetters(), VirtualClock(NOW))


def answers(store: CollectorStore, devices: Sequence[str] = ("d1", "d2")) -> dict[str, object]:
    """Return everything that a store can be asked, as comparable values."""
    far = (START - timedelta(days=9), START + timedelta(days=900))
    stats = store.stats(TENANT)
    return {
        "newest": {d: store.newest(TENANT, DeviceId(d)) for d in devices},
        "newest_many": dict(store.newest_many(TENANT, [DeviceId(d) for d in (*devices, "none")])),
        "states": list(store.states(TENANT)),
        "last_heard": dict(store.last_heard(TENANT)),
        "readings": {d: list(store.readings(TENANT, DeviceId(d), *far)) for d in devices},
        "some": list(store.readings(TENANT, DeviceId("d1"), START, START + timedelta(hours=12), limit=3)),
        "events": list(store.events(TENANT, *far)),
        "events of one": list(store.events(TENANT, *far, DeviceId("d1"))),
        "meters": list(store.daily_meters(TENANT, *ALL_DAYS)),
        "meters of one": list(store.daily_meters(TENANT, DAY + 1, DAY + 3, DeviceId("d1"))),
        "supplies": list(store.daily_supplies(TENANT, *ALL_DAYS)),
        "supplies of one": list(store.daily_supplies(TENANT, DAY, DAY + 1, DeviceId("d2"))),
        "standing": [
            standing(store, by, hours)
            for by in ("", "region", "site", "customer", "model")
            for hours in (20, 70)
        ],
        "counts": (stats.devices, stats.readings, stats.first_at, stats.last_at),
    }


def standing(store: CollectorStore, by: Dimension, hours: int = 20) -> list[FleetStanding]:
    wanted = StandingFilter(silent_before=START + timedelta(hours=hours), low_percent=50, by=by)
    rows = store.standing(TENANT, wanted)
    return [
        msgspec.structs.replace(row, mean_lowest_percent=round(row.mean_lowest_percent or 0, 6))
        for row in rows
    ]


property_test = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking against a server takes minutes
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@property_test
@given(history=histories(), data=st.data())
def test_a_store_answers_like_the_oracle_whatever_the_order(
    make_store: MakeStore, history: list[DeviceReading], data: st.DataObject
) -> None:
    """Late, doubled, shuffled: the state is the one that ordered input leaves, and memory and the store agree."""
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=5)) if history else []
    shuffled = data.draw(st.permutations([*history, *repeats]))
    cut = data.draw(st.integers(0, len(shuffled)))
    oracle, store = MemoryTelemetryStore(), make_store()
    ingest_into(oracle).land(history)
    ingest = ingest_into(store)
    results = [ingest.land(shuffled[:cut]), ingest.land(shuffled[cut:])]
    assert sum(result.stored for result in results) == len(history)
    assert sum(result.duplicates for result in results) == len(repeats)
    assert answers(store) == answers(oracle)


@property_test
@given(history=histories(devices=("d1",), size=10))
def test_one_by_one_is_the_same_as_at_once(make_store: MakeStore, history: list[DeviceReading]) -> None:
    oracle, store = MemoryTelemetryStore(), make_store()
    ingest_into(oracle).land(history)
    ingest = ingest_into(store)
    for one in history:
        ingest.land([one])
    assert answers(store) == answers(oracle)


def test_an_empty_store_knows_nothing(make_store: MakeStore) -> None:
    found = answers(make_store())
    assert found["newest"] == {"d1": None, "d2": None}
    assert found["counts"] == (0, 0, None, None)
    assert found["meters"] == []


def test_a_swapped_board_begins_an_epoch_and_uses_no_negative_pages(make_store: MakeStore) -> None:
    store = make_store()
    day = 24 * 60
    pages = [(0, 90_000), (60, 90_100), (120, 7), (180, 20), (day, 5), (day + 60, 6)]
    store.append([Landing(reading=reading(minutes=m, pages=p)) for m, p in pages])
    first, second = store.daily_meters(TENANT, *ALL_DAYS)
    assert (first.first_count, first.last_count, first.pages, first.epoch_changes) == (90_000, 20, 113, 1)
    assert (second.pages, second.epoch_changes) == (1, 1)


def test_the_newest_reading_outlives_its_raw_day(make_store: MakeStore) -> None:
    store = make_store()
    old, new = reading("d1", minutes=0, seq=1), reading("d2", minutes=3 * 1440)
    store.append([Landing(reading=old), Landing(reading=new)])
    assert store.drop_before(START + timedelta(days=2)) == 1
    assert store.newest(TENANT, DeviceId("d1")) == old
    assert store.newest(TENANT, DeviceId("d2")) == new
    assert list(store.readings(TENANT, DeviceId("d1"), START, NOW)) == []
    assert [row.day for row in store.daily_meters(TENANT, *ALL_DAYS)] == [DAY, DAY + 3]


def test_pushed_events_are_kept_once(make_store: MakeStore) -> None:
    store = make_store()
    event = TelemetryEvent(
        tenant=TENANT, device_id="d1", at=START, kind="pushed", code="door open", began=True,
        severity="info", text='two\nlines, "quoted" \\ and = signs',
    )  # fmt: skip
    assert store.append_events([event, event]) == 1
    assert store.append_events([event]) == 0
    assert list(store.events(TENANT, START, NOW)) == [event]


def test_tenants_do_not_see_each_other(make_store: MakeStore) -> None:
    store = make_store()
    store.append(
        [Landing(reading=reading(tenant="north")), Landing(reading=reading(tenant="south", pages=5))]
    )
    north = store.newest(TenantId("north"), DeviceId("d1"))
    assert north is not None
    assert north.counters.life_count == 1000
    assert store.stats(TenantId("south")).readings == 1
    assert answers(store)["counts"] == (0, 0, None, None)


def test_sequences_tell_what_is_safe(make_store: MakeStore) -> None:
    store = make_store()
    store.append([Landing(reading=reading(minutes=n, seq=n)) for n in (1, 2, 4, 5)])
    assert store.received(TENANT, "d1")["boot-1"].ranges == ((1, 2), (4, 5))
    store.settle([(TENANT, "d1", "boot-1", 3, 3)])
    assert store.received(TENANT, "d1")["boot-1"].mark == 5
    assert store.append([Landing(reading=reading(minutes=3, seq=3))]).duplicates == 1
    store.unsettle(TENANT, "d1", "boot-1", 3)
    assert store.append([Landing(reading=reading(minutes=3, seq=3))]).stored == 1


def test_a_moved_device_counts_where_it_stands_now(make_store: MakeStore) -> None:
    store = make_store()
    places = {"d1": "east", "d2": "east", "d3": "west", "d9": "west"}
    devices = {
        name: DeviceDimensions(tenant=TENANT, device_id=name, site_id="s1", region=region, model_id="m")
        for name, region in places.items()
    }
    store.keep_dimensions([devices["d1"], devices["d9"]])  # before the first reading; d9 never speaks
    store.append([Landing(reading=reading(name, toner=40 + n)) for n, name in enumerate(("d1", "d2", "d3"))])
    store.keep_dimensions([devices["d2"], devices["d3"]])
    assert [(row.value, row.devices, row.low_supply) for row in standing(store, "region")] == [
        ("east", 2, 2), ("west", 1, 1),
    ]  # fmt: skip
    store.keep_dimensions([replace(devices["d2"], region="west", customer_id="c1")])
    store.append([Landing(reading=reading("d2", minutes=5, toner=90, errors=("jammed",)))])
    east, west = standing(store, "region")
    assert (east.value, east.devices) == ("east", 1)
    assert (west.devices, west.low_supply, west.with_errors, west.mean_lowest_percent) == (2, 1, 1, 66.0)
    assert [row.value for row in standing(store, "customer")] == ["", "c1"]
    assert [(row.value, row.devices) for row in standing(store, "")] == [("", 3)]


def test_days_that_change_after_they_were_over_are_named_once(make_store: MakeStore) -> None:
    """The clock stands 30 days after the first readings; a reading of its own day changes no finished day."""
    store = make_store()
    today = timedelta(days=30).total_seconds() / 60
    store.append([Landing(reading=reading("d1", minutes=today, seq=1))])
    nothing = store.changed_days(TENANT)
    assert nothing.days == ()
    store.append([Landing(reading=reading("d1", minutes=5, seq=2)), Landing(reading=reading("d2", seq=1))])
    first = store.changed_days(TENANT, nothing.mark)
    assert first.days == (("d1", DAY), ("d2", DAY))
    assert store.changed_days(TENANT, first.mark).days == ()
    store.append([Landing(reading=reading("d1", minutes=5, seq=2))])  # a repeat changes nothing
    assert store.changed_days(TENANT, first.mark).days == ()
    jam = TelemetryEvent(
        tenant=TENANT,
        device_id="d2",
        at=START + timedelta(days=2),
        kind="error_state",
        code="jammed",
        began=True,
    )
    store.append_events([jam])
    assert store.changed_days(TENANT, first.mark).days == (("d2", DAY + 2),)
    assert store.changed_days(TenantId("north")).days == ()
