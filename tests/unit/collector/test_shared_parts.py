"""Taking over what a device repeats changes no answer: not what is decoded, refused, concluded or stored."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.completion import RememberedCompletion
from collector.mqtt.payloads import Decode
from collector.mqtt.shared_parts import SharedParts, whole
from collector.normalise import complete_derived
from collector.profiles import load_profiles
from collector.stores.memory import MemoryTelemetryStore
from collector.stores.sqlite import SqliteTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import VirtualClock
from config.fault_code_files import load_fault_codes
from crm_core.conditions import observe
from crm_core.domain.content import shares_grounds
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import TenantId
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import encode_reading
from crm_core.ports import Landing
from tests.telemetry_readings import START, histories, reading

BOOK = load_fault_codes()
TENANT = TenantId("default")
complete = partial(complete_derived, profiles=load_profiles(), catalogue=load_catalogue(), book=BOOK)


@given(histories(), st.integers(1, 4000))
def test_every_reading_is_decoded_as_by_itself(history: list[DeviceReading], size: int) -> None:
    parts = SharedParts(generation_bytes=size)
    for one in (*history, *history):
        assert parts.decode(encode_reading(one)) == (one, None)


def test_parts_that_came_before_are_the_same_objects_until_two_generations_have_passed() -> None:
    parts = SharedParts(generation_bytes=3000)
    first, _ = parts.decode(encode_reading(reading(pages=1)))
    again, _ = parts.decode(encode_reading(reading(pages=2)))
    assert again.supplies is first.supplies
    assert again.counters is not first.counters
    for number in range(100):
        parts.decode(encode_reading(reading(toner=number, errors=[f"e{number}"])))
    late, _ = parts.decode(encode_reading(reading(pages=1)))
    assert late.supplies == first.supplies
    assert late.supplies is not first.supplies


def test_what_is_said_about_the_sending_is_read_along() -> None:
    body = encode_reading(reading())[:-1] + b',"oldest_seq":7,"sent_at":"2026-03-02T07:00:00Z"}'
    assert SharedParts().decode(body) == whole(body)


def _broken(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return (
        body[:at]
        + chance.choice((b"", b"null", b'"', b"\xff", b"1e999", b"[[", b"-4", b"}"))
        + body[at + 1 :]
    )


def test_what_is_refused_is_refused_for_the_same_reason() -> None:
    chance, parts, body = random.Random(5), SharedParts(), encode_reading(reading(errors=["jammed"]))
    parts.decode(body)
    answers = []
    for _ in range(3000):
        bad = _broken(body, chance)
        answers.append(_answer(whole, bad))
        assert _answer(parts.decode, bad) == answers[-1]
    assert sum(isinstance(answer, str) for answer in answers) > 1000


def _answer(decode: Decode, body: bytes) -> object:
    try:
        return decode(body)
    except InvalidValue as error:
        return str(error)


@settings(max_examples=40)
@given(histories())
def test_remembering_what_was_concluded_changes_no_reading(history: list[DeviceReading]) -> None:
    parts, remembering = SharedParts(), RememberedCompletion(complete, devices=1)
    for one in history:
        assert remembering(parts.decode(encode_reading(one))[0]) == complete(one)


def test_nothing_but_the_grounds_decides_what_is_wrong() -> None:
    """The rule behind `shares_grounds`: `observe` looks at nothing else of a reading, of trays only whether they are empty."""
    seen: set[str] = set()

    class Watched:
        def __init__(self, one: DeviceReading) -> None:
            self._one = one

        def __getattr__(self, name: str) -> object:
            seen.add(name)
            return getattr(self._one, name)

    for errors in ([], ["jammed", "noPaper", "lowToner", "doorOpen"], ["serviceRequested", "noToner"]):
        observe(complete(reading(errors=errors, toner=-2)), BOOK)
        observe(Watched(complete(reading(errors=errors))), BOOK)  # type: ignore[arg-type]  # stands in for a reading
    grounds = {"identity", "supplies", "alerts", "covers", "status", "derived", "incomplete", "trays"}
    assert seen <= grounds | {"error_names", "derived_supply"}  # of status and of derived
    one = reading()
    emptied = msgspec.structs.replace(
        one, trays=tuple(msgspec.structs.replace(t, level=0) for t in one.trays)
    )
    fuller = msgspec.structs.replace(one, trays=tuple(msgspec.structs.replace(t, level=9) for t in one.trays))
    assert one.trays
    assert shares_grounds(fuller, one)
    assert not shares_grounds(emptied, one)


def _lands(history: Sequence[DeviceReading], size: int) -> list[list[Landing]]:
    return [[Landing(reading=one) for one in history[at : at + size]] for at in range(0, len(history), size)]


@settings(max_examples=30, deadline=None)
@given(histories(), st.sampled_from((1, 3, 100)), st.randoms(use_true_random=False))
def test_shared_parts_are_stored_as_separate_ones(
    history: list[DeviceReading], size: int, chance: random.Random
) -> None:
    parts, clock = SharedParts(), VirtualClock(datetime(2026, 3, 9, tzinfo=UTC))
    shared = [parts.decode(encode_reading(one))[0] for one in history]
    if chance.random() < 0.5:
        chance.shuffle(shared)
    plain = MemoryTelemetryStore()
    with TemporaryDirectory() as folder:
        store = SqliteTelemetryStore(Path(folder) / "t.sqlite", clock)
        for batch in _lands(shared, size):
            store.append(batch)
        for batch in _lands(history, size):
            plain.append(batch)
        day = START.timetuple().tm_yday + 20_000
        assert list(store.daily_supplies(TENANT, 0, day)) == list(plain.daily_supplies(TENANT, 0, day))
        assert list(store.daily_meters(TENANT, 0, day)) == list(plain.daily_meters(TENANT, 0, day))
        assert store.states(TENANT) == plain.states(TENANT)
        store.close()
