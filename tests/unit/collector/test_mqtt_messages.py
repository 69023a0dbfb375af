"""Topics and payloads: what fits is taken to the value, everything else is refused with a reason."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.mqtt import payloads
from collector.mqtt.topics import Kind, Topic, parse_topic
from crm_core.domain.errors import InvalidValue
from crm_core.domain.wire import encode_reading
from tests.telemetry_readings import START, reading

TOPIC = Topic("default", "site-1", "d1", Kind.READING)
NOW = START + timedelta(minutes=1)


def body(**changes: object) -> bytes:
    plain = msgspec.json.decode(encode_reading(reading(seq=1)))
    return msgspec.json.encode({**plain, **changes})


identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(identifiers, identifiers, identifiers, st.sampled_from(Kind))
def test_topics_are_read_as_written(tenant: str, site: str, device: str, kind: Kind) -> None:
    topic = Topic(tenant, site, device, kind)
    assert parse_topic(str(topic)) == topic


@given(st.text(max_size=80))
def test_other_topics_are_refused_and_never_crash(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_topic(text)
    with pytest.raises(InvalidValue):
        parse_topic(f"drumbeat/v1/{text}/reading")


@pytest.mark.parametrize(
    "name", ["drumbeat/v1/t/s/_agent/reading", "drumbeat/v1/t/s/d\n/reading", "drumbeat/v1/t/s/d/ack/x"]
)
def test_names_that_nobody_may_have(name: str) -> None:
    with pytest.raises(InvalidValue):
        parse_topic(name)


def test_identifiers_left_out_come_from_the_topic() -> None:
    plain = msgspec.json.decode(body())
    for name in ("tenant", "site_id", "device_id"):
        del plain[name]
    found = payloads.pushed_reading(Topic("north", "s9", "d9", Kind.READING), msgspec.json.encode(plain), NOW)
    assert (found.reading.tenant, found.reading.site_id, found.reading.device_id) == ("north", "s9", "d9")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "not a reading"),
        (b"[]", "not a reading"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","boot_id":"b"}', "boot_id and seq go together"),
        (b'{"polled_at":"2026-01-01T00:00:00"}', "timezone"),
        (b'{"polled_at":"0001-01-01T00:00:00+23:59"}', "calendar"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","x":' + b"[" * 100_000, "recursion"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","supplies":[{"index":"1","percent":1e999}]}', "range"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","supplies":[{"index":"1","percent":NaN}]}', "malformed"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","seq":18446744073709551616,"boot_id":"b"}', "seq"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","identity":{"model":"\xff"}}', "utf-8"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","identity":{"model":"\\ud800"}}', "not a reading"),
        (b'{"polled_at":"2026-01-01T00:00:00Z","identity":{"model":"a\\u0000"}}', "NUL"),
        (b" " * 300_000, "larger than"),
        (body(tenant="south"), "tenant"),
        (body(device_id="d2"), "device_id"),
        (body(site_id="elsewhere"), "site_id"),
        (body(boot_id="b\n"), "boot_id"),
        (body(seq="1"), "seq"),
        (body(schema="drumbeat.reading/2"), "schema"),
        (body(supplies=[{"index": "1"}] * 257), "supplies"),
    ],
)
def test_every_refusal_says_why(message: bytes, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        payloads.pushed_reading(TOPIC, message, NOW)


@given(st.binary(max_size=300))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    for decode in (payloads.status_message, payloads.ack_message):
        with pytest.raises(InvalidValue):
            decode(noise)
    with pytest.raises(InvalidValue):
        payloads.pushed_reading(TOPIC, noise, NOW)
    with pytest.raises(InvalidValue):
        payloads.pushed_event(TOPIC, noise)
    assert payloads.sequence_in(noise) is None


def test_a_wrong_clock_is_put_right_by_the_time_of_sending() -> None:
    wrong = timedelta(days=-365 * 20)
    sent = body(polled_at=(START + wrong).isoformat(), sent_at=(NOW + wrong).isoformat(), oldest_seq=1)
    found = payloads.pushed_reading(TOPIC, sent, NOW)
    assert found.reading.polled_at == START
    assert found.clock_off == -wrong
    assert found.oldest_seq == 1


def test_a_sender_cannot_have_given_up_what_it_just_sent() -> None:
    """A wrong `oldest_seq` must not settle numbers that are still to come."""
    assert payloads.pushed_reading(TOPIC, body(seq=7, oldest_seq=900), NOW).oldest_seq == 7


def test_times_are_turned_to_utc() -> None:
    found = payloads.pushed_reading(TOPIC, body(polled_at="2026-03-02T15:00:00+08:00"), NOW).reading
    assert found.polled_at == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert found.polled_at.utcoffset() == timedelta(0)


def test_a_refused_message_still_tells_its_number() -> None:
    assert payloads.sequence_in(b'{"boot_id":"b","seq":7,"supplies":5}') == ("b", 7)
    assert payloads.sequence_in(b'{"boot_id":"b\\n","seq":7}') is None


def test_marks_and_status_are_read_as_written() -> None:
    marks = payloads.ack_message(payloads.encode_ack([("b2", 5), ("b1", 900)])).marks
    assert [(mark.boot_id, mark.seq) for mark in marks] == [("b2", 5), ("b1", 900)]
    assert payloads.status_message(payloads.encode_status(online=False)).state == "offline"
