"""An embedded store on a failing disk: what is torn is named and left out, everything else is still there."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from collector.dead_letters import SqliteDeadLetters
from collector.ingest import Ingest
from collector.stores import maintenance
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.ports import Landing
from crm_core.signals import conclude
from tests.contract.test_telemetry_store import NoCodes
from tests.telemetry_readings import START, reading

FAR = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
YEARS = (date(2000, 1, 1), date(2100, 1, 1))
TENANT = TenantId("default")
CLOCK = VirtualClock(START + timedelta(days=9))
DEVICES = ("d0", "d1", "d2")
KEPT = 8
PAGE = 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    store = SqliteTelemetryStore(tmp_path / "t.sqlite", CLOCK, lines=True)
    store.append(
        [
            Landing(reading=reading(device, minutes=10 * n, seq=n + 1, pages=1000 + 7 * n))
            for n in range(KEPT)
            for device in DEVICES
        ]
    )
    store.close()
    return store.path


def tear(file: Path, device: str, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of a device's frame, to which its other readings are differences."""
    db = sqlite3.connect(file)
    (table,) = db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'reading_%'").fetchone()
    row, body = db.execute(
        f'SELECT r.id, r.body FROM "{table}" r JOIN device d ON d.id = r.device WHERE d.device_id = ? AND ref IS NULL',
        (device,),
    ).fetchone()
    db.execute(f'UPDATE "{table}" SET body = ? WHERE id = ?', (change(body), row))
    db.commit()
    db.close()


def test_a_frame_torn_anywhere_is_told_and_costs_no_other_device(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for part in range(16):
        file.write_bytes(whole)
        tear(file, "d1", lambda body, part=part: body[: len(body) * part // 16])  # type: ignore[misc]  # one cut a round
        found = maintenance.verify(file)
        assert found.readings + sum("cannot be read" in fault for fault in found.faults) == KEPT * 3
        exported = maintenance.export(file, tmp_path / "cold", *YEARS)
        rows = [row for one in exported.files for row in pq.read_table(one).to_pylist()]
        assert len(rows) + len(exported.left_out) == KEPT * 3
        assert {"d0", "d2"} <= {row["device_id"] for row in rows}
        assert exported.left_out


def test_a_device_whose_frame_is_torn_goes_on(file: Path) -> None:
    """New readings of it are taken, days are dropped, its neighbours do not notice."""
    tear(file, "d1", lambda body: body[: len(body) // 2])
    store = SqliteTelemetryStore(file, CLOCK)
    assert store.newest(TENANT, DeviceId("d1")) is None
    assert len(store.readings(TENANT, DeviceId("d0"), *FAR)) == KEPT
    letters = SqliteDeadLetters(store)
    ingest = Ingest(store, partial(conclude, book=NoCodes()), letters, CLOCK)
    fresh = [reading(device, minutes=10 * KEPT, seq=KEPT + 1, pages=2000) for device in DEVICES]
    assert ingest.land(fresh).stored == 3
    assert store.newest(TENANT, DeviceId("d1")) == fresh[1]
    late = reading("d1", minutes=35, seq=KEPT + 2, pages=1025)
    assert ingest.land([late]).stored == 1
    assert store.readings(TENANT, DeviceId("d1"), *FAR) == [late, fresh[1]]
    assert letters.count() == 0
    store.close()


def test_days_are_dropped_though_a_newest_reading_is_torn(file: Path) -> None:
    tear(file, "d1", lambda body: b"")
    store = SqliteTelemetryStore(file, CLOCK)
    store.drop_before(START + timedelta(days=5))
    assert store.newest(TENANT, DeviceId("d1")) is None
    assert store.newest(TENANT, DeviceId("d0")) is not None
    assert len(store.states(TENANT)) == 3
    store.close()


def test_every_bad_page_is_a_fault_or_a_clear_refusal(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for page in range(len(whole) // PAGE):
        path = tmp_path / f"{page}" / "t.sqlite"
        path.parent.mkdir()
        path.write_bytes(whole[: page * PAGE] + Random(page).randbytes(PAGE) + whole[(page + 1) * PAGE :])
        for look in (
            maintenance.status,
            maintenance.verify,
            partial(maintenance.export, folder=tmp_path / "cold", first=YEARS[0], last=YEARS[1]),
        ):
            found: object = None
            with suppress(StoreUnavailable):
                found = look(path)
            assert not isinstance(found, maintenance.Verification) or found.faults


@pytest.mark.parametrize("version", [0, 1, 99])
def test_a_file_of_another_age_is_refused_with_what_to_do(tmp_path: Path, version: int) -> None:
    path = tmp_path / "t.sqlite"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    for look in (maintenance.status, maintenance.verify, maintenance.compact):
        with pytest.raises(StoreUnavailable, match=r"up to date|upgrade"):
            look(path)


def test_a_file_that_another_holds_is_not_compacted_now(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.stores.sqlite_schema.WAIT_SECONDS", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="cannot be compacted now"):
        maintenance.compact(file)
    assert maintenance.verify(file).faults == ()
    other.close()
