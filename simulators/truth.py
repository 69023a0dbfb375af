"""What really happened and what was really said: truth and ledger, written as Parquet beside a run.

Truth comes from the physics alone and is never an input of a forecast; the ledger lists every reading that left a
simulated device, so that a test can prove that none of them was lost.
"""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulators.device.arrays import CODE, FAULT_CODES, JAM, METERS
from simulators.device.fleet import Fleet
from simulators.models import COMPONENTS

LEDGER_SCHEMA: Final = pa.schema(
    [
        ("device_id", pa.string()),
        ("boot_id", pa.string()),
        ("seq", pa.int64()),
        ("polled_at", pa.timestamp("ms", tz="UTC")),
    ]
)


class Ledger:
    """Every reading pushed, in the order of pushing; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[tuple[str, str, int, datetime]] = []

    def pushed(self, device_id: str, boot_id: str, seq: int, at: datetime) -> None:
        """Note a reading that left its device."""
        with self._lock:
            self._rows.append((device_id, boot_id, seq, at))

    @property
    def rows(self) -> list[tuple[str, str, int, datetime]]:
        """(device, boot, sequence, instant) of each reading so far."""
        with self._lock:
            return list(self._rows)

    def write(self, path: Path) -> None:
        """Write the ledger as Parquet."""
        rows = self.rows
        arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(LEDGER_SCHEMA)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=LEDGER_SCHEMA), path)


def pages_table(fleet: Fleet) -> pa.Table:
    """Return what was printed: a row per device and day with every meter's growth."""
    days = sorted(fleet.days)
    count = len(fleet)
    meters = np.stack([fleet.days[day].meters for day in days], axis=1)  # device, day, meter
    names = pa.DictionaryArray.from_arrays(
        np.repeat(np.arange(count, dtype=np.int32), len(days)), _device_ids(fleet)
    )
    first = np.datetime64(fleet.start)
    columns: dict[str, Any] = {"device_id": names, "day": np.tile(first + np.array(days), count)}
    for i, name in enumerate(METERS):
        columns[name] = meters[:, :, i].ravel()
    return pa.table(columns)


def supplies_table(fleet: Fleet) -> pa.Table:
    """Return every change and every run-out: device, slot, day, what, which unit and what was left in it."""
    rows: dict[str, list[Any]] = {
        name: []
        for name in ("device_id", "slot", "kind", "colour", "day", "event", "unit_number", "level_left")
    }
    previous = None
    for day in sorted(fleet.days):
        record = fleet.days[day]
        for event, flags in (("changed", record.changed), ("ran_empty", record.ran_empty)):
            for device, slot in zip(*np.nonzero(flags), strict=True):
                spec = fleet.model_of[device].slots[slot]
                left = 0.0
                if event == "changed":
                    left = 1.0 - float(previous.used_at_end[device, slot]) if previous is not None else np.nan
                rows["device_id"].append(fleet.roster.devices[device].device_id)
                rows["slot"].append(int(slot) + 1)
                rows["kind"].append(spec.kind)
                rows["colour"].append(spec.colour)
                rows["day"].append(fleet.start + timedelta(days=day))
                rows["event"].append(event)
                rows["unit_number"].append(int(record.unit_number[device, slot]))
                rows["level_left"].append(left)
        previous = record
    return pa.table(rows)


def failures_table(fleet: Fleet) -> pa.Table:
    """Return every failure with its component, why it failed (worn, sudden, scripted) and the day of its repair (null: not repaired in the run)."""
    repaired: dict[tuple[int, int], list[int]] = {}
    for device, day, component in fleet.repairs:
        repaired.setdefault((device, component), []).append(day)
    first = fleet.start
    rows: dict[str, list[Any]] = {
        name: [] for name in ("device_id", "failed_on", "component", "cause", "repaired_on")
    }
    for (device, day, component), cause in zip(fleet.failures, fleet.causes, strict=True):
        later = [d for d in repaired.get((device, component), ()) if d > day]
        rows["device_id"].append(fleet.roster.devices[device].device_id)
        rows["failed_on"].append(first + timedelta(days=day))
        rows["component"].append(COMPONENTS[component])
        rows["cause"].append(cause)
        rows["repaired_on"].append(first + timedelta(days=min(later)) if later else None)
    return pa.table(rows)


def events_table(fleet: Fleet) -> pa.Table:
    """Return every code and jam that began: device, instant, code, severity, and the component it names."""
    parts = []
    for day in sorted(fleet.days):
        table = fleet.days[day].events
        keep = table.fresh & ((table.kind == CODE) | (table.kind == JAM))
        parts.append((day, keep, table))
    device = np.concatenate([table.device[keep] for _, keep, table in parts])
    minutes = np.concatenate([day * 1440.0 + table.start[keep] for day, keep, table in parts])
    kind = np.concatenate([table.kind[keep] for _, keep, table in parts])
    code = np.concatenate([table.code[keep] for _, keep, table in parts])
    hint = np.concatenate([table.hint[keep] for _, keep, table in parts])
    at = np.datetime64(fleet.start, "ms") + (minutes * 60_000).astype("timedelta64[ms]")
    names = np.array([row[0] for row in FAULT_CODES] + ["JAM"])
    severities = np.array([row[1] for row in FAULT_CODES] + ["warning"])
    which = np.where(kind == JAM, len(FAULT_CODES), code)
    hints = np.array([*COMPONENTS, None], dtype=object)
    return pa.table(
        {
            "device_id": pa.DictionaryArray.from_arrays(device, _device_ids(fleet)),
            "at": pa.array(at, pa.timestamp("ms", tz="UTC")),
            "code": names[which],
            "severity": severities[which],
            "component_hint": hints[hint],
        }
    )


def mishaps_table(fleet: Fleet) -> pa.Table:
    """Return what happened by chance around the machines: device, day, what, slot and other device (null: none)."""
    ids = [spec.device_id for spec in fleet.roster.devices]
    log = sorted(fleet.mishaps.log)
    return pa.table(
        {
            "device_id": pa.array([ids[row.device] for row in log], pa.string()),
            "day": pa.array([fleet.start + timedelta(days=row.day) for row in log], pa.date32()),
            "what": pa.array([row.what for row in log], pa.string()),
            "slot": pa.array([row.slot + 1 if row.slot >= 0 else None for row in log], pa.int64()),
            "other_device": pa.array(
                [ids[row.other] if row.other >= 0 else None for row in log], pa.string()
            ),
        }
    )


def write_truth(fleet: Fleet, folder: Path) -> list[Path]:
    """Write pages, supplies, failures, events and mishaps of all simulated days into `folder` as Parquet; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "pages": pages_table(fleet),
        "supplies": supplies_table(fleet),
        "failures": failures_table(fleet),
        "events": events_table(fleet),
        "mishaps": mishaps_table(fleet),
    }
    paths = []
    for name, table in tables.items():
        path = folder / f"truth_{name}.parquet"
        pq.write_table(table, path)
        paths.append(path)
    return paths


def _device_ids(fleet: Fleet) -> pa.Array:
    return pa.array([spec.device_id for spec in fleet.roster.devices])
