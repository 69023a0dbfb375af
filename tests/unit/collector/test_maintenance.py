"""Status, verification, compaction and export of the embedded store; replay of dead letters; mosquitto's files."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from collector.dead_letters import SHED_TALLY, DeadLetter, SqliteDeadLetters
from collector.ingest import Ingest
from collector.mqtt.acl import Account, acl_text, write_files
from collector.replay import Replayer
from collector.stores import maintenance
from collector.stores.sqlite import SqliteTelemetryStore
from collector.stores.sqlite_schema import MIGRATIONS, connect, migrate
from config.clock import VirtualClock
from crm_core.domain.errors import InvalidValue, StoreUnavailable
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.standing import StandingFilter
from crm_core.domain.wire import encode_reading
from crm_core.ports import Landing
from crm_core.signals import conclude
from tests.contract.test_telemetry_store import NoCodes
from tests.telemetry_readings import START, reading

FAR = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
TENANT = TenantId("default")
CLOCK = VirtualClock(START + timedelta(days=9))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteTelemetryStore]:
    opened = SqliteTelemetryStore(tmp_path / "t.sqlite", CLOCK)
    made = [
        reading(f"d{d}", minutes=600 * n, seq=n + 1, pages=1000 + 7 * n) for n in range(8) for d in range(3)
    ]
    opened.append([Landing(reading=one) for one in made])
    yield opened
    opened.close()


def test_status_tells_days_rows_and_what_waits(store: SqliteTelemetryStore) -> None:
    found = maintenance.status(store.path)
    assert (found.devices, found.days, found.rows) == (3, 4, 24)
    assert (found.first_day, found.last_day) == (date(2026, 3, 2), date(2026, 3, 5))
    assert found.waiting == {}
    with pytest.raises(StoreUnavailable, match="no telemetry database"):
        maintenance.status(store.path.with_name("other"))


def test_a_sound_store_verifies_and_faults_are_named(store: SqliteTelemetryStore) -> None:
    sound = maintenance.verify(store.path)
    assert sound.faults == ()
    assert sound.readings == 24
    with sqlite3.connect(store.path) as other:
        other.execute(
            "UPDATE daily SET pages = pages + 1 WHERE device = 1 AND day = (SELECT min(day) FROM daily)"
        )
        other.execute("INSERT INTO outbox (topic, created_ms, crc, body) VALUES ('signal', 0, 1, x'00')")
        (table,) = other.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'reading%' AND type = 'table'"
        ).fetchone()
        other.execute(f"UPDATE \"{table}\" SET body = x'0102' WHERE device = 2 AND ref IS NULL")
    other.close()
    faults = maintenance.verify(store.path).faults
    assert len(faults) == 4, "the torn frame, and the reading that is a difference to it"
    assert any("torn" in fault for fault in faults)
    assert any("roll-up" in fault and "d0" in fault for fault in faults)
    assert any("cannot be read" in fault and "d1" in fault for fault in faults)


def test_compaction_gives_dropped_days_back(store: SqliteTelemetryStore) -> None:
    store.append([Landing(reading=reading("d9", minutes=n, seq=n, pages=n * 977)) for n in range(1, 2000)])
    store.drop_before(START + timedelta(days=3))
    assert maintenance.compact(store.path) > 0
    assert maintenance.verify(store.path).faults == ()


def test_an_exported_day_holds_every_reading(store: SqliteTelemetryStore, tmp_path: Path) -> None:
    found = maintenance.export(store.path, tmp_path / "cold", date(2026, 3, 1), date(2026, 3, 31))
    files = found.files
    assert found.left_out == ()
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len(files) == 4
    assert len(rows) == 24
    first = min(rows, key=lambda row: (row["polled_at"], row["device_id"]))
    assert (first["device_id"], first["seq"], first["life_count"]) == ("d0", 1, 1000)
    assert "iR-ADV" in first["content"]
    with pytest.raises(InvalidValue):
        maintenance.export(store.path, tmp_path, date(2026, 3, 2), date(2026, 3, 1))


class Directory:
    """One device is registered, the others are not (yet)."""

    known = frozenset({"d0"})

    def site_of(self, tenant: str, device_id: str) -> str | None:
        return "site-1" if device_id in self.known else None


def test_a_mended_cause_lets_dead_letters_land(store: SqliteTelemetryStore) -> None:
    directory, box = Directory(), SqliteDeadLetters(store)
    ingest = Ingest(store, partial(conclude, book=NoCodes()), box, CLOCK, directory=directory)
    late = reading("d7", minutes=5, seq=1)
    assert ingest.land([late, reading("d0", minutes=5000, seq=9)]).rejected == 1
    assert store.received("default", "d7")["boot-1"].mark == 1
    (letter,) = box.list()
    assert "not registered" in letter.reason
    replayer = Replayer(box, ingest, store, CLOCK)
    assert letter.letter_id is not None
    assert not replayer.replay([letter.letter_id])[0].landed
    assert box.count() == 1
    directory.known = frozenset({"d0", "d7"})
    assert replayer.replay([letter.letter_id, 99])[0].landed
    assert box.count() == 0
    assert store.readings(TENANT, DeviceId("d7"), *FAR) == [late]
    assert store.received("default", "d7")["boot-1"].mark == 1


def test_what_is_still_malformed_stays(store: SqliteTelemetryStore) -> None:
    box = SqliteDeadLetters(store)
    box.add([DeadLetter(at=START, origin="drumbeat/v1/default/s/d1/reading", reason="bad", body=b"{")])
    box.add(
        [DeadLetter(at=START, origin="snmp", reason="bad", body=encode_reading(reading("d1", minutes=1)))]
    )
    ingest = Ingest(store, partial(conclude, book=NoCodes()), box, CLOCK)
    outcome = Replayer(box, ingest, store, CLOCK).replay([1, 2])
    assert [one.landed for one in outcome] == [False, True]
    assert "truncated" in outcome[0].reason


def test_dead_letters_are_bounded_and_the_shed_ones_counted(store: SqliteTelemetryStore) -> None:
    box = SqliteDeadLetters(store, limit=10)
    for _ in range(5):
        box.add([DeadLetter(at=START, origin="o", reason="r", body=bytes(100_000))] * 5)
    assert box.count() == 10
    assert len(box.list()[0].body) == 64 * 1024
    assert maintenance.status(store.path).tallies[SHED_TALLY] == 15


def test_an_agent_may_only_speak_for_its_site() -> None:
    text = acl_text([Account("default", "site-1"), Account("north", "s2")])
    block = text.split("user north.s2\n")[1]
    assert "drumbeat/v1/north/s2/+/reading" in block
    assert "site-1" not in block
    assert "topic read drumbeat/v1/+/+/+/reading" in text.split("user default.site-1")[0]
    with pytest.raises(InvalidValue):
        acl_text([Account("default", "+")])


def test_known_passwords_stay_and_new_users_need_one(tmp_path: Path) -> None:
    one, two = Account("default", "s1"), Account("default", "s2")
    passwords, acl = write_files(tmp_path, [one], {"drumbeat-collector": "a", one.username: "b"})
    before = passwords.read_text()
    with pytest.raises(InvalidValue, match="no password"):
        write_files(tmp_path, [one, two], {})
    write_files(tmp_path, [one, two], {two.username: "c"})
    assert passwords.read_text().startswith(before)
    assert passwords.stat().st_mode & 0o077 == acl.stat().st_mode & 0o077 == 0


def test_an_older_file_is_brought_up_to_date_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    old = connect(path)
    migrate(old, MIGRATIONS[:1])
    old.execute("INSERT INTO device (id, tenant, device_id) VALUES (1, 'north', 'd1')")
    old.execute("INSERT INTO newest VALUES (1, 5, '', 0, 1, 7, 3.0, '1.1', '', NULL, 'snmp', NULL)")
    old.close()
    store = SqliteTelemetryStore(path, CLOCK)
    (row,) = store.standing(TenantId("north"), StandingFilter(silent_before=START, low_percent=10))
    assert (row.devices, row.silent, row.low_supply, row.mean_lowest_percent) == (1, 1, 1, 3.0)
    store.transaction(lambda db: db.execute("PRAGMA user_version = 99"))
    store.close()
    with pytest.raises(StoreUnavailable, match="upgrade Drumbeat"):
        SqliteTelemetryStore(path, CLOCK)


def test_notes_of_changed_days_go_with_the_readings_and_marks_go_on(store: SqliteTelemetryStore) -> None:
    """The clock stands long after the readings: each append changes days that were over."""
    before = store.changed_days(TENANT)
    assert len(before.days) > 3
    store.drop_before(CLOCK.now())
    left = store.changed_days(TENANT)
    assert (left.mark, len(left.days)) == (before.mark, 1)
    store.append([Landing(reading=reading("d9"))])
    fresh = store.changed_days(TENANT, before.mark)
    assert fresh.mark > before.mark
    assert [name for name, _ in fresh.days] == ["d9"]


def test_figures_of_the_fleet_that_do_not_fit_are_found(store: SqliteTelemetryStore) -> None:
    assert maintenance.verify(store.path).faults == ()
    store.transaction(
        lambda db: db.execute("UPDATE place SET devices = devices + 1 WHERE dimension = 'site'")
    )
    assert any("figures" in fault for fault in maintenance.verify(store.path).faults)
