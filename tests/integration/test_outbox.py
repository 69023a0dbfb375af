"""The outbox between two kills: order, torn records, refused lines, a server that is away, and what may be shed."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from collector.dead_letters import MemoryDeadLetters
from collector.ingest import Ingest
from collector.outbox import TORN, InfluxForwarder, Outbox, SignalForwarder
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_write import LINES_TOPIC, SIGNAL_TOPIC
from config.clock import VirtualClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from crm_core.domain.service import Signal
from crm_core.ports import Landing
from crm_core.signals import conclude
from tests.telemetry_readings import JAM, START, reading

OpenStore = Callable[[], SqliteTelemetryStore]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START + timedelta(days=1))


@pytest.fixture
def open_store(tmp_path: Path, clock: VirtualClock) -> Iterator[OpenStore]:
    made: list[SqliteTelemetryStore] = []

    def open_one() -> SqliteTelemetryStore:
        made.append(SqliteTelemetryStore(tmp_path / "t.sqlite", clock, lines=True))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


class Inbox:
    """A CRM inbox that can be away."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.away = False

    def append(self, signals: Sequence[Signal]) -> int:
        if self.away:
            raise StoreUnavailable("away")
        self.signals += signals
        return len(signals)


class Server:
    """An InfluxDB as the forwarder sees it: it refuses lines that hold `bad`, and may be away."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.calls = 0
        self.away = False
        self.bad = "no such text"

    def write(self, lines: Sequence[str]) -> None:
        self.calls += 1
        if self.away:
            raise StoreUnavailable("away")
        if any(self.bad in line for line in lines):
            raise InvalidValue(f"partial write: a line holds {self.bad}")
        self.lines += lines


def land(store: SqliteTelemetryStore, clock: VirtualClock, count: int, first: int = 1) -> None:
    ingest = Ingest(store, partial(conclude, book=load_fault_codes()), MemoryDeadLetters(), clock)
    for seq in range(first, first + count):
        ingest.land([reading(minutes=seq, seq=seq, pages=1000 + seq, errors=("jammed",), alerts=(JAM,))])


def test_signals_arrive_in_order_and_wait_for_an_inbox_that_is_away(
    open_store: OpenStore, clock: VirtualClock
) -> None:
    store, inbox = open_store(), Inbox()
    outbox = Outbox(store, clock)
    forwarder = SignalForwarder(outbox, inbox, batch=3)
    land(store, clock, 8)
    inbox.away = True
    with pytest.raises(StoreUnavailable):
        forwarder.drain()
    assert outbox.waiting(SIGNAL_TOPIC) == 8
    inbox.away = False
    assert forwarder.drain() == 8
    assert [signal.evidence for signal in inbox.signals] == [f"boot-1:{n}" for n in range(1, 9)]
    assert outbox.waiting(SIGNAL_TOPIC) == 0


def test_a_torn_record_is_set_aside_and_the_rest_delivered(
    open_store: OpenStore, clock: VirtualClock, tmp_path: Path
) -> None:
    store, inbox = open_store(), Inbox()
    land(store, clock, 5)
    with sqlite3.connect(tmp_path / "t.sqlite") as other:
        (third,) = other.execute(
            "SELECT id FROM outbox WHERE topic = 'signal' ORDER BY id LIMIT 1 OFFSET 2"
        ).fetchone()
        other.execute("UPDATE outbox SET body = substr(body, 1, 40) WHERE id = ?", (third,))
    other.close()
    outbox = Outbox(store, clock)
    SignalForwarder(outbox, inbox).drain()
    assert [signal.evidence[-1] for signal in inbox.signals] == ["1", "2", "4", "5"]
    (parked,) = outbox.parked()
    assert parked.reason == TORN
    assert outbox.waiting(SIGNAL_TOPIC) == 0


def test_only_the_refused_line_is_parked(open_store: OpenStore, clock: VirtualClock) -> None:
    store, server = open_store(), Server()
    land(store, clock, 20)
    server.bad = "seq=7i"
    outbox = Outbox(store, clock)
    InfluxForwarder(outbox, server).drain()
    (parked,) = outbox.parked()
    assert b"seq=7i" in parked.body
    assert "partial write" in parked.reason
    sequences = [n for n in range(1, 21) if any(f"seq={n}i" in line for line in server.lines)]
    assert sequences == [n for n in range(1, 21) if n != 7]
    assert outbox.waiting() == outbox.waiting(SIGNAL_TOPIC)


def test_a_refused_line_is_parked_once_however_often_its_record_is_sent(
    open_store: OpenStore, clock: VirtualClock
) -> None:
    """The server goes away between two bodies of one record: the whole is sent again, the bad line counts once."""
    store, server = open_store(), Server()
    land(store, clock, 8)
    server.bad, outbox = "seq=1i", Outbox(store, clock)
    forwarder = InfluxForwarder(outbox, server, body_lines=4, retry_seconds=0.0)
    good = server.write

    def fails_later(lines: Sequence[str]) -> None:
        server.away = any("seq=5i" in line for line in lines)
        good(lines)

    server.write = fails_later  # type: ignore[method-assign]  # a server that goes away half-way
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            forwarder.drain()
    assert outbox.parked() == []
    server.write, server.away = good, False  # type: ignore[method-assign]  # the same server, back again
    forwarder.drain()
    (parked,) = outbox.parked()
    assert b"seq=1i" in parked.body
    assert outbox.waiting(LINES_TOPIC) == 0


def test_a_server_that_refuses_everything_does_not_fill_the_disk(
    open_store: OpenStore, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.outbox.PARKED_LINES", 5)
    store, server = open_store(), Server()
    server.bad, outbox = "printer_reading", Outbox(store, clock)
    land(store, clock, 12)
    InfluxForwarder(outbox, server).drain()
    kept = [one.body for one in outbox.parked()]
    assert [b"seq=%di" % n in body for n, body in zip(range(12, 7, -1), kept, strict=True)] == [True] * 5
    with sqlite3.connect(tmp_path / "t.sqlite") as other:
        assert other.execute("SELECT count FROM tally WHERE name = 'parked_shed'").fetchone() == (7,)
    other.close()


def test_after_an_outage_live_lines_go_first_and_all_arrive(
    open_store: OpenStore, clock: VirtualClock
) -> None:
    store, server = open_store(), Server()
    outbox = Outbox(store, clock)
    forwarder = InfluxForwarder(outbox, server, retry_seconds=0.0)
    server.away = True
    land(store, clock, 40)
    with pytest.raises(StoreUnavailable):
        forwarder.drain()
    server.away = False
    land(store, clock, 3, first=41)
    forwarder.drain()
    order = [int(line.split("seq=")[1].split("i")[0]) for line in server.lines if "seq=" in line]
    assert order[:3] == [41, 42, 43]
    assert sorted(order) == list(range(1, 44))
    daily = [line for line in server.lines if line.startswith("printer_daily,")]
    assert len(daily) == 1  # forty-three changes of one day are one line
    assert "polls=43i" in daily[0]


def test_a_failing_server_is_left_alone_for_a_while(open_store: OpenStore, clock: VirtualClock) -> None:
    store, server = open_store(), Server()
    forwarder = InfluxForwarder(Outbox(store, clock), server, retry_seconds=3600)
    server.away = True
    land(store, clock, 2)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            forwarder.drain()
    assert server.calls == 1


def test_lines_are_shed_oldest_first_and_counted_signals_never(
    open_store: OpenStore, clock: VirtualClock, tmp_path: Path
) -> None:
    store = open_store()
    land(store, clock, 30)
    outbox = Outbox(store, clock)
    assert outbox.shed_lines(keep=10) == 20
    assert outbox.waiting(LINES_TOPIC) == 10
    assert outbox.waiting(SIGNAL_TOPIC) == 30
    with sqlite3.connect(tmp_path / "t.sqlite") as other:
        assert other.execute("SELECT count FROM tally WHERE name = 'lines_shed'").fetchone() == (20,)
    other.close()


def test_what_waits_survives_closing(open_store: OpenStore, clock: VirtualClock) -> None:
    store = open_store()
    land(store, clock, 3)
    store.close()
    again, inbox, server = open_store(), Inbox(), Server()
    outbox = Outbox(again, clock)
    assert SignalForwarder(outbox, inbox).drain() == 3
    assert InfluxForwarder(outbox, server).drain() == 3


def test_others_read_while_it_is_written(open_store: OpenStore, clock: VirtualClock) -> None:
    store = open_store()
    reader = SqliteTelemetryStore(store.path, clock)
    store.append([Landing(reading=reading(seq=1))])
    assert reader.stats("default").readings == 1  # type: ignore[arg-type]  # a plain tenant id
    store.append([Landing(reading=reading(seq=2, minutes=2))])
    assert reader.append([Landing(reading=reading(seq=3, minutes=3))]).stored == 1
    assert store.append([Landing(reading=reading(seq=3, minutes=3))]).duplicates == 1
    reader.close()
