"""What one transaction of the embedded store is going to write, and the statements that write it."""

from dataclasses import dataclass, field

import msgspec

from collector.stores.daily import DayRollup
from collector.stores.device_cache import Boot, DeviceMemory
from crm_core.ports import Landing

NEWEST = """INSERT INTO newest (device, at_us, tie, day, row, life_count, lowest_percent, lowest_index, errors,
    worst_severity, source, kept, tenant) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)
    ON CONFLICT (device) DO UPDATE SET at_us = excluded.at_us, tie = excluded.tie, day = excluded.day,
    row = excluded.row, life_count = excluded.life_count, lowest_percent = excluded.lowest_percent,
    lowest_index = excluded.lowest_index, errors = excluded.errors, worst_severity = excluded.worst_severity,
    source = excluded.source, kept = NULL"""
DAILY = """INSERT INTO daily (device, day, first_us, last_us, last_tie, basis, first_count, last_count, last_mono,
    last_colour, pages, polls, epochs, supplies, jams) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
    ON CONFLICT (device, day) DO UPDATE SET first_us = excluded.first_us, last_us = excluded.last_us,
    last_tie = excluded.last_tie, basis = excluded.basis, first_count = excluded.first_count,
    last_count = excluded.last_count, last_mono = excluded.last_mono, last_colour = excluded.last_colour,
    pages = excluded.pages, polls = excluded.polls, epochs = excluded.epochs, supplies = excluded.supplies"""
EVENT = """INSERT OR IGNORE INTO event (device, at_us, kind, code, began, severity, text)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
JAMS = """UPDATE daily SET jams = (SELECT count(*) FROM event WHERE device = ?1 AND at_us >= ?2 * 86400000000 - 500
    AND at_us < (?2 + 1) * 86400000000 - 500 AND kind = 'error_state' AND code = 'jammed' AND began)
    WHERE device = ?1 AND day = ?2"""
OUTBOX = "INSERT INTO outbox (topic, created_ms, crc, body) VALUES (?, ?, ?, ?)"

WAITING = """INSERT INTO daily_waiting (device, day, stamp) VALUES (?, ?, ?)
    ON CONFLICT (device, day) DO UPDATE SET stamp = excluded.stamp"""

RollupKey = tuple[str, str, int]


@dataclass(slots=True)
class Batch:
    """What one transaction is going to write."""

    polled: set[tuple[int, int]] = field(default_factory=set)
    newest: dict[int, tuple[object, ...]] = field(default_factory=dict)
    rollups: dict[tuple[int, int], tuple[DeviceMemory, RollupKey]] = field(default_factory=dict)
    rebuild: set[tuple[int, int]] = field(default_factory=set)
    boots: dict[int, Boot] = field(default_factory=dict)
    stored: list[Landing] = field(default_factory=list)
    replaced: list[tuple[DeviceMemory, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    jams: set[tuple[int, int]] = field(default_factory=set)
    outbox: list[tuple[object, ...]] = field(default_factory=list)
    duplicates: int = 0


def daily_row(device_row: int, day: int, rollup: DayRollup) -> tuple[object, ...]:
    """Return the parameters of `DAILY`."""
    return (
        device_row, day, rollup.first_us, rollup.last_us, rollup.last_tie, rollup.basis, rollup.first_count,
        rollup.last_count, rollup.last_mono, rollup.last_colour, rollup.pages, rollup.polls, rollup.epochs,
        msgspec.msgpack.encode(rollup.supplies),
    )  # fmt: skip
