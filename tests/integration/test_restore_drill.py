"""The restore drill: the CRM data of 10,000 devices over a year is backed up, wiped and restored with the same sums."""

import hashlib
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import timedelta

import pytest

from collector.stores.sqlite import SqliteTelemetryStore
from config.backup import make_backup, restore_backup
from config.clock import SystemClock
from config.settings import load_settings
from config.wiring.core import open_core
from crm_core.ports import Landing
from tests.telemetry_readings import START, reading

DEVICES, TICKETS, AUDIT = 10_000, 60_000, 250_000
ORDERS, INVOICES, LINES = (
    60_000,
    12_000,
    25,
)  # a visit for each ticket; 1,000 customers with an invoice a month
POLLED, LOOKS = 400, 24  # devices and readings of each in the telemetry that is reported apart
AT = "2026-01-01 08:00:00.000000"


def fill(file):
    """Write a year of a firm with 10,000 devices straight into its tables; blobs as large as real ones."""
    clocks = json.dumps(
        [{"kind": kind, "explanation": os.urandom(150).hex()} for kind in ("respond", "restore")]
    )
    events = json.dumps([{"at": AT, "actor": "drumbeat", "note": os.urandom(40).hex()} for _ in range(5)])
    with closing(sqlite3.connect(file)) as db, db:
        rows = ((f"c{n}", f"Customer {n}") for n in range(1000))
        insert(
            db,
            "customers",
            rows,
            {"customer_id": 0, "name": 1},
            kind="company",
            tier="ordinary",
            language="zh-CN",
        )
        devices = ((f"d{n}", f"c{n % 1000}", f"SN{n}") for n in range(DEVICES))
        insert(
            db,
            "devices",
            devices,
            {"device_id": 0, "customer_id": 1, "serial": 2},
            owner_state="installed",
            transport="snmp",
        )
        tickets = ((f"d{n % DEVICES}", f"{n}:x", os.urandom(200).hex()) for n in range(TICKETS))
        insert(
            db, "tickets", tickets, {"device_id": 0, "dedup_key": 1, "detail": 2}, cause="fault.x", category="c",
            level="L2", state="closed", title_key="t", raised_at=AT, changed_at=AT, clocks=clocks, evidence=events,
            events=events, policy_version="1", version=1, is_open=0,
        )  # fmt: skip
        orders = ((f"d{n % DEVICES}", os.urandom(700).hex()) for n in range(ORDERS))
        insert(
            db, "work_orders", orders, {"device_id": 0, "note": 1}, kind="repair", state="done", customer_id="c0",
            created_at=AT, due_at=AT, version=1,
        )  # fmt: skip
        lines = json.dumps(
            [{"kind": "mono", "text": os.urandom(60).hex(), "amount": "12.34"} for _ in range(LINES)]
        )
        usage = json.dumps(
            [{"device_id": f"d{n}", "segments": [os.urandom(120).hex()]} for n in range(DEVICES // 1000)]
        )
        invoices = ((f"INV-{n}", f"rent:{n}", f"c{n % 1000}") for n in range(INVOICES))
        insert(
            db, "invoices", invoices, {"invoice_number": 0, "run_key": 1, "customer_id": 2}, kind="rent", state="paid",
            period_from="2026-01-01", period_to="2026-01-31", issued_on="2026-02-01", due_on="2026-02-16", lines=lines,
            usage=usage, total='"308.50"', paid='"308.50"', credited='"0.00"', instalments="[]", balances="[]",
            trued_up="[]", currency="CNY", policy_version="1", version=1,
        )  # fmt: skip
        chain = ((n, os.urandom(32).hex(), os.urandom(32).hex()) for n in range(1, AUDIT + 1))
        insert(
            db, "audit_events", chain, {"number": 0, "chain": 1, "after": 2}, at=AT, actor="drumbeat", action="update",
            kind="tickets", object_id="1", changed="state", before="", previous="",
        )  # fmt: skip


def insert(db, table, rows, columns, **fixed):
    """Insert rows; columns that are needed and not told get an empty value of their kind."""
    needed = {
        name: ("" if "CHAR" in kind or "TEXT" in kind else 0)
        for _, name, kind, not_null, default, key in db.execute(f"PRAGMA table_info({table})")
        if not_null and default is None and name not in columns and not (key and "INT" in kind)
    }
    values = {**needed, "tenant": "default", **fixed}
    names = [*columns, *values]
    marks = ",".join("?" * len(names))
    made = ((*(row[at] for at in columns.values()), *values.values()) for row in rows)
    db.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})", made)


def checksums(file):
    """Return the SHA-256 of the rows of every table."""
    sums = {}
    with closing(sqlite3.connect(file)) as db:
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall():
            digest = hashlib.sha256()
            for row in db.execute(f"SELECT * FROM {name}"):
                digest.update(repr(row).encode())
            sums[name] = digest.hexdigest()
    return sums


@pytest.mark.heavy
def test_backup_wipe_restore_of_a_year_of_10000_devices(tmp_path, capsys):
    folder = tmp_path / "data"
    settings = load_settings(environment={}).changed(general={"data_dir": folder})
    open_core(settings, SystemClock())
    (folder / "attachments").mkdir()
    (folder / "attachments" / "photo").write_bytes(os.urandom(300_000))
    fill(folder / "crm.sqlite")
    before, size = checksums(folder / "crm.sqlite"), (folder / "crm.sqlite").stat().st_size
    assert before.keys() >= {"work_orders", "invoices", "tickets", "audit_events"}
    wall, cpu = time.monotonic(), time.process_time()
    made = make_backup(settings, tmp_path / "drill.tar.gz", SystemClock().now(), "drill")
    shutil.rmtree(folder)
    found = restore_backup(made.file, folder)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    with capsys.disabled():
        print(
            f"\nrestore drill: {size / 1e6:.0f} MB of CRM data, backup {made.bytes / 1e6:.0f} MB, "
            f"{cpu:.1f} CPU s, {wall:.1f} s in all; telemetry apart"
        )
    assert found.parts == made.parts
    assert checksums(folder / "crm.sqlite") == before
    assert {"attachments/photo", "personal.key"} <= set(found.parts)
    assert cpu < 60


@pytest.mark.heavy
def test_telemetry_goes_along_and_its_size_and_time_are_reported(tmp_path, capsys):
    folder = tmp_path / "data"
    settings = load_settings(environment={}).changed(general={"data_dir": folder})
    open_core(settings, SystemClock())
    file = folder / "telemetry.sqlite"
    store = SqliteTelemetryStore(file, SystemClock(), wait_for_disk=False)
    for look in range(LOOKS):
        rows = [reading(f"d{n}", minutes=60 * look, pages=1000 + 7 * look) for n in range(POLLED)]
        store.append([Landing(reading=row) for row in rows])
    kept = store.stats("default").readings
    store.close()
    size, cpu = file.stat().st_size, time.process_time()
    made = make_backup(settings, tmp_path / "drill.tar.gz", SystemClock().now(), "drill")
    shutil.rmtree(folder)
    restore_backup(made.file, folder)
    cpu = time.process_time() - cpu
    with capsys.disabled():
        print(
            f"\ntelemetry in the drill: {kept} readings, {size / 1e6:.1f} MB ({size / kept:.0f} bytes each), {cpu:.2f} CPU s "
            f"({cpu / kept * 1e6:.0f} s a million)"
        )
    again = SqliteTelemetryStore(file, SystemClock())
    assert again.stats("default").readings == kept == POLLED * LOOKS
    assert [row.polled_at for row in again.readings("default", "d7", START, START + timedelta(days=2), 100)]
    again.close()
