"""A million malformed messages among good ones: nothing crashes, each is stored or kept with its reason.

They go through the listener's own writer, from the queue on: the broker in front would only cost time.
"""

import random
import socket
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from collector.agents import SqliteAgentBook
from collector.dead_letters import SHED_TALLY, SqliteDeadLetters
from collector.ingest import Ingest
from collector.mqtt.bulk_socket import BulkSocket, Message
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.listener import MqttListener
from collector.stores import maintenance
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import VirtualClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.identity import TenantId
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import encode_reading
from crm_core.signals import Conclusion, conclude
from tests.telemetry_readings import START, reading

TENANT = TenantId("default")
GOOD = msgspec.json.decode(encode_reading(reading(seq=1)))
Mutation = Callable[[random.Random, bytes], bytes]


def _with(field: str, raw: bytes) -> Mutation:
    """Return a mutation that sets a field of the reading to raw JSON text."""

    def mutate(_: random.Random, body: bytes) -> bytes:
        return b'{"' + field.encode() + b'":' + raw + b"," + body[1:]

    return mutate


def _cut(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body))]


def _flip(chance: random.Random, body: bytes) -> bytes:
    broken = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken)


def _noise(chance: random.Random, _: bytes) -> bytes:
    return chance.randbytes(chance.randrange(400))


def _replaced(old: bytes, new: bytes) -> Mutation:
    return lambda _, body: body.replace(old, new, 1)


MUTATIONS: tuple[Mutation, ...] = (
    _cut, _flip, _flip, _noise,
    _with("supplies", b'[{"index":"1.1","percent":NaN}]'),
    _with("supplies", b'[{"index":"1.1","percent":1e999}]'),
    _with("supplies", b'[{"index":"1.1","level":18446744073709551616}]'),
    _with("supplies", b'[{"index":"1.1","name":"\\ud800"}]'),
    _with("supplies", b'[{"index":"1.1","name":"\xff\xfe"}]'),
    _with("supplies", b'[{"index":"1.1\\u0000"}]'),
    _with("supplies", b'{"index":"1.1"}'),
    _with("x", b"[" * 2000 + b"]" * 2000),
    _with("tenant", b'"default"'),  # a duplicate key, harmless
    _with("tenant", b'"another"'),
    _with("polled_at", b'"yesterday"'),
    _replaced(b'"tenant":"default"', b'"tenant":"another"'),
    _replaced(b'"device_id":"', b'"device_id":"x'),
    _replaced(b'"seq":', b'"seq":-'),
    _replaced(b'"boot_id":"boot-1"', b'"boot_id":null'),
    _replaced(b'"schema":"drumbeat.reading/1"', b'"schema":"drumbeat.reading/9"'),
    lambda _, body: body + b"}" * 3,
    lambda _, body: b"\xef\xbb\xbf" + body,
    lambda chance, body: body[:-1] + b',"pad":"' + b"x" * chance.choice((10, 1000, 300_000)) + b'"}',
    lambda _, __: b"",
)  # fmt: skip
TOPICS = (
    "drumbeat/v1/default/site-1/{}/reading", "drumbeat/v1/default/site-1/{}/event", "drumbeat/v1/default/site-1/{}/status",
    "drumbeat/v1/another/site-1/{}/reading", "drumbeat/v2/default/site-1/{}/reading", "drumbeat/v1/default/{}/reading",
    "drumbeat/v1/default/si te/{}/reading", "{}",
)  # fmt: skip


def _messages(count: int, seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """Yield topic, body and whether the message is good; one in ten is."""
    chance = random.Random(seed)
    for number in range(1, count + 1):
        device = f"d{number % 50}"
        seq = number // 50 + 1
        body = encode_reading(reading(device, minutes=number / 60, seq=seq, pages=1000 + seq))
        if number % 10 == 0:
            yield TOPICS[0].format(device), body, True
            continue
        topic = TOPICS[0] if chance.random() < 0.9 else chance.choice(TOPICS)
        yield topic.format(device), chance.choice(MUTATIONS)(chance, body), False


def _soak(folder: Path, count: int) -> None:
    clock = VirtualClock(START)
    clock.move_to(START.replace(year=START.year + 1))
    store = SqliteTelemetryStore(folder / "t.sqlite", clock)
    letters = SqliteDeadLetters(store, limit=1000)
    ingest = Ingest(store, partial(conclude, book=load_fault_codes()), letters, clock)
    listener = MqttListener(MqttEndpoint(), ingest, store, clock, agents=SqliteAgentBook(store))
    good: set[tuple[str, int]] = set()
    messages = _messages(count, seed=5)
    while batch := list(islice(messages, 1000)):
        listener._land([_message(topic, body) for topic, body, _ in batch])
        for topic, body, is_good in batch:
            if is_good:
                good.add((topic.split("/")[4], msgspec.json.decode(body)["seq"]))
    assert listener.counters.acknowledged == count
    totals = ingest.counters
    kept = letters.count() + maintenance.status(store.path).tallies.get(SHED_TALLY, 0)
    assert kept == totals.rejected
    assert (
        totals.stored + totals.duplicates + totals.rejected + totals.events + listener.counters.statuses
        == count
    )
    assert all(letter.reason for letter in letters.list(limit=1000))
    received = {device: store.received(TENANT, device) for device in {device for device, _ in good}}
    assert all(any(seq in ranges for ranges in received[device].values()) for device, seq in good)
    found = maintenance.verify(store.path)
    assert found.faults == ()
    print(f"\n{count} messages: {totals.stored} stored ({len(good)} good ones), {kept} dead letters, "
          f"{totals.duplicates} repeats, {totals.events} events, {listener.counters.statuses} statuses")  # fmt: skip
    store.close()


def _message(topic: str, body: bytes) -> Message:
    """Return a message of a connection that is gone: there is nobody to acknowledge it to."""
    with socket.socket() as gone:
        return Message(topic.encode(), body, b"", BulkSocket(gone, print, five=False))


def test_a_reading_that_our_own_rules_choke_on_does_not_stop_the_others(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    store = SqliteTelemetryStore(tmp_path / "t.sqlite", clock)
    letters = SqliteDeadLetters(store)

    def choking(one: DeviceReading, before: DeviceReading | None) -> Conclusion:
        if one.seq == 3:
            raise ZeroDivisionError("planted")
        return conclude(one, before, load_fault_codes())

    listener = MqttListener(MqttEndpoint(), Ingest(store, choking, letters, clock), store, clock)
    bodies = [encode_reading(reading("d1", minutes=-n, seq=n)) for n in range(1, 6)]
    listener._land([_message(TOPICS[0].format("d1"), body) for body in bodies])
    assert store.stats(TENANT).readings == 4
    (letter,) = letters.list()
    assert "planted" in letter.reason
    assert store.received(TENANT, "d1")["boot-1"].mark == 5
    store.close()


def test_ten_thousand_malformed_messages(tmp_path: Path) -> None:
    _soak(tmp_path, 10_000)


@pytest.mark.heavy
def test_fifty_thousand_malformed_messages(tmp_path: Path) -> None:
    _soak(tmp_path, 50_000)


@pytest.mark.soak
def test_a_million_malformed_messages(tmp_path: Path) -> None:
    _soak(tmp_path, 1_000_000)
