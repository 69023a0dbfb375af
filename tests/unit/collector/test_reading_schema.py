"""The schema and the examples in the documents are those of the code."""

import json
import re
from datetime import UTC, datetime

import jsonschema
import msgspec
import pytest

from collector.mqtt import payloads
from collector.mqtt.topics import parse_topic
from crm_core.domain.wire import encode_reading
from tests.telemetry_readings import reading
from tests.unit.collector.write_reading_schema import FILE, reading_schema, schema_text

GUIDE = FILE.parent / "mqtt.md"
NOW = datetime(2026, 3, 2, 7, 1, tzinfo=UTC)
EXAMPLE = re.compile(r"`(drumbeat/v1/\S+)`[^\n]*\n+```json\n(.*?)```", re.DOTALL)


def test_the_schema_file_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), (
        "run python -m tests.unit.collector.write_reading_schema"
    )


def test_readings_fit_the_schema_and_misfits_do_not() -> None:
    check = jsonschema.Draft202012Validator(reading_schema())
    good = msgspec.json.decode(encode_reading(reading(seq=4)))
    check.validate({**good, "a_later_key": 1})
    for wrong in ({"polled_at": None}, {"seq": -1}, {"supplies": [{"level": 5}]}, {"site_id": "a b"}):
        with pytest.raises(jsonschema.ValidationError):
            check.validate({**good, **wrong})


def test_every_example_of_the_guide_is_taken() -> None:
    found = EXAMPLE.findall(GUIDE.read_text(encoding="utf-8"))
    kinds = set()
    for name, text in found:
        topic = parse_topic(name)
        body = text.strip().encode()
        json.loads(body)
        kinds.add(topic.kind.value)
        match topic.kind.value:
            case "reading":
                taken = payloads.pushed_reading(topic, body, NOW)
                assert taken.clock_off is None
                jsonschema.validate(json.loads(body), reading_schema())
            case "event":
                payloads.pushed_event(topic, body)
            case "status":
                payloads.status_message(body)
            case "ack":
                payloads.ack_message(body)
    assert kinds == {"reading", "event", "status", "ack"}
