"""The measurements that Drumbeat keeps in InfluxDB, as a Grafana user would expect them.

| measurement | tags | fields |
|---|---|---|
| printer_reading | tenant, site, device | life_count, total_printed, mono, colour, lowest_percent, lowest_index, errors, worst_severity, source, boot, seq, content |
| printer_supply | tenant, site, device, index | level, capacity, percent, state, kind, colour |
| printer_event | tenant, device, kind, code, phase (began, ended) | severity, text, void |
| printer_daily | tenant, device | the columns of the daily roll-up, jams, nulls |
| printer_daily_supply | tenant, device, index | the columns of the daily supply, nulls |

Times are in microseconds; a daily point stands at the beginning of its UTC day. `content` is the reading as JSON from
`identity` on, so that the whole reading can be had back. Two readings of one device in the same microsecond are one
point. `nulls` names the
columns that are empty now. An event that a late reading disproved is overwritten with `void`.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from collector.stores.daily import DayRollup
from collector.stores.line_protocol import FieldValue, LineEncoder, series
from collector.stores.reading_codec import at_us, content_of, parts_of
from crm_core.device_state import state_columns
from crm_core.domain.telemetry import DeviceReading, TelemetryEvent
from crm_core.ports import Landing

READING: Final = "printer_reading"
SUPPLY: Final = "printer_supply"
EVENT: Final = "printer_event"
DAILY: Final = "printer_daily"
DAILY_SUPPLY: Final = "printer_daily_supply"
DAILY_FIELDS: Final = (
    "first_us", "last_us", "basis", "first_count", "last_count", "last_mono", "last_colour", "pages", "polls", "epochs",
)  # fmt: skip
DAILY_SUPPLY_FIELDS: Final = (
    "kind", "colour", "unit", "capacity", "level_state", "first_percent", "last_percent", "page_count",
)  # fmt: skip
US_PER_DAY: Final = 86_400_000_000

_encoder: Final = LineEncoder()


def landing_lines(landing: Landing) -> Iterator[str]:
    """Yield the lines of one landing, without its daily roll-up."""
    yield from reading_lines(landing.reading)
    for event in (*landing.events, *landing.following_events):
        yield event_line(event, void=False)


def reading_lines(reading: DeviceReading) -> Iterator[str]:
    """Yield the lines of a reading: itself, and one a supply."""
    when = at_us(reading.polled_at)
    place = {"tenant": reading.tenant, "site": reading.site_id, "device": reading.device_id}
    life_count, percent, index, errors, worst, source = state_columns(reading)
    counters = reading.counters
    yield _encoder.line(
        _encoder.series(READING, place),
        {
            "life_count": life_count,
            "total_printed": counters.vendor_count("total_printed"),
            "mono": counters.vendor_count("mono"),
            "colour": counters.vendor_count("colour"),
            "lowest_percent": percent,
            "lowest_index": index,
            "errors": errors,
            "worst_severity": worst,
            "source": source,
            "boot": reading.boot_id,
            "seq": reading.seq,
            "content": content_of(parts_of(reading)).decode(),
        },
        when,
    )
    derived = {row.index: row for row in reading.derived.supplies}
    for supply in reading.supplies:
        known = derived.get(supply.index)
        line = _encoder.line(
            _encoder.series(SUPPLY, place | {"index": supply.index}),
            {
                "level": supply.level,
                "capacity": supply.capacity,
                "percent": supply.percent
                if known is None or supply.percent is not None
                else known.level_percent,
                "state": None if supply.level_state is None else supply.level_state.value,
                "kind": supply.type if known is None else known.kind or supply.type,
                "colour": supply.colorant if known is None else known.colour or supply.colorant,
            },
            when,
        )
        if line:
            yield line


def event_line(event: TelemetryEvent, *, void: bool) -> str:
    """Return the line of an event; `void` takes one back."""
    tags = {
        "tenant": event.tenant,
        "device": event.device_id,
        "kind": event.kind,
        "code": event.code,
        "phase": "began" if event.began else "ended",
    }
    fields = {"severity": event.severity, "text": event.text, "void": void}
    return _encoder.line(series(EVENT, tags), fields, at_us(event.at))


def daily_lines(tenant: str, device_id: str, day: int, rollup: DayRollup, jams: int) -> Iterator[str]:
    """Yield the lines of one device and day."""
    when = day * US_PER_DAY
    place: dict[str, str | None] = {"tenant": tenant, "device": device_id}
    meters = {name: getattr(rollup, name) for name in DAILY_FIELDS}
    yield _encoder.line(_encoder.series(DAILY, place), _with_nulls(meters) | {"jams": jams}, when)
    for row in rollup.supplies:
        stated = {name: getattr(row, name) for name in DAILY_SUPPLY_FIELDS}
        yield _encoder.line(
            _encoder.series(DAILY_SUPPLY, place | {"index": row.index}), _with_nulls(stated), when
        )


def _with_nulls(fields: dict[str, FieldValue]) -> dict[str, FieldValue]:
    """Return the fields and the names of the empty ones: a point that is written again keeps what is left out."""
    return fields | {"nulls": ",".join(name for name, value in fields.items() if value is None)}


def without_nulls(names: Sequence[str], values: Sequence[Any], nulls: str) -> list[Any]:
    """Return the values that `_with_nulls` was given, in the order of `names`."""
    empty = nulls.split(",")
    return [None if name in empty else value for name, value in zip(names, values, strict=True)]


def pack_lines(lines: Sequence[str]) -> bytes:
    """Return lines as one compact record for the outbox."""
    return zlib.compress(msgspec.msgpack.encode(lines), 1)


def unpack_lines(body: bytes) -> list[str]:
    """Return the lines that `pack_lines` was given."""
    return msgspec.msgpack.decode(zlib.decompress(body), type=list[str])
