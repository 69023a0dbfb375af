"""Field names of readings and history files, so that every reader and writer spells them alike.

The JSON form of a reading is the form of `telemetry.DeviceReading`; this module encodes and decodes it.
"""

from datetime import datetime
from typing import Final

import msgspec

from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import DeviceReading

MAX_READING_BYTES: Final = 256 * 1024

#: Columns of a supply history (see docs/analytics.md): one row a poll and supply.
SUPPLY_HISTORY_COLUMNS: Final = (
    "device_id", "model_id", "site_id", "nominal_yield_pages", "polled_at", "level_state", "level_percent", "page_count",
)  # fmt: skip

_decoder = msgspec.json.Decoder(DeviceReading, strict=True)
_encoder = msgspec.json.Encoder(decimal_format="string")


def encode_reading(reading: DeviceReading) -> bytes:
    """Return the reading as compact UTF-8 JSON."""
    return _encoder.encode(reading)


def encode_part(part: object) -> bytes:
    """Return one part of a reading (a field's value) as it stands in `encode_reading`."""
    return _encoder.encode(part)


def decode_reading(body: bytes) -> DeviceReading:
    """Return the reading in `body`, or raise `InvalidValue` with the reason in one line."""
    if len(body) > MAX_READING_BYTES:
        raise InvalidValue(f"reading of {len(body)} bytes is larger than {MAX_READING_BYTES}")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"not a reading: {error}") from error


def instant_to_json(instant: datetime) -> str:
    """Return an aware UTC instant as RFC 3339 text with a final Z."""
    return instant.isoformat().replace("+00:00", "Z")
