"""Writes `docs/reading.schema.json` from the types that decode a reading, so that the two cannot part.

Run it after a change: `python -m tests.unit.collector.write_reading_schema`; test_reading_schema.py compares.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from crm_core.domain.telemetry import DeviceReading

FILE = Path(__file__).resolve().parents[3] / "docs" / "reading.schema.json"
_TITLE = "Drumbeat reading, version 1"
_COMMENT = (
    "One look at one device. Level values are the raw integers of the Printer MIB: -1 no restriction, -2 unknown, -3 some "
    "remaining. Further keys are allowed. A pushed reading may also carry oldest_seq and sent_at (docs/mqtt.md)."
)


def reading_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12)."""
    schema = msgspec.json.schema(DeviceReading)
    for described in schema["$defs"].values():
        if "description" in described:  # Python 3.13 keeps docstrings without their indentation
            described["description"] = inspect.cleandoc(described["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        "$comment": _COMMENT,
        **schema,
    }


def schema_text() -> str:
    """Return the schema as it stands in the file."""
    return json.dumps(reading_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
