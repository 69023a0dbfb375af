"""Processes and data of the telemetry benchmarks: the bench reading, a peer pipeline, a writer.

Run as `python -m tests.benchmarks.telemetry_parts peer|drumbeat|writer ...`; each prints one JSON line.
"""

import json
import sys
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import paho.mqtt.client as paho
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import WriteOptions
from paho.mqtt.enums import CallbackAPIVersion

from collector.completion import RememberedCompletion
from collector.dead_letters import SqliteDeadLetters
from collector.ingest import Ingest
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.listener import MqttListener
from collector.normalise import complete_derived
from collector.profiles import load_profiles
from collector.stores.sqlite import SqliteTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from config.wiring.garbage import settle_garbage_collection
from crm_core.domain.telemetry import DeviceReading, InputTray, MarkerSupply, percent_of
from crm_core.domain.wire import decode_reading, encode_reading
from crm_core.ports import Landing
from crm_core.signals import Concluder

PROJECT = Path(__file__).resolve().parents[2]
BENCH = decode_reading((PROJECT / "docs" / "bench_reading.json").read_bytes())
Row = TypeVar("Row", MarkerSupply, InputTray)
START = datetime(2026, 3, 2, tzinfo=UTC)
CLIENT_ID = "bench-drain"


def values_in(body: object) -> int:
    """Return how many non-null scalars a document holds."""
    if isinstance(body, dict):
        return sum(map(values_in, body.values()))
    if isinstance(body, list):
        return sum(map(values_in, body))
    return int(body is not None)


VALUES = values_in(msgspec.json.decode(encode_reading(BENCH)))


def bench_reading(device: str, number: int, *, step: timedelta = timedelta(minutes=5)) -> DeviceReading:
    """Return the bench reading of one device at one time: counters and paper move, toner falls now and then.

    No two devices say the same: serial number, counters, levels and paper are each device's own.
    """
    own = zlib.crc32(device.encode())
    pages = 123_456 + own % 500_000 + 3 * number
    counters = msgspec.structs.replace(
        BENCH.counters, prt_marker_life_count={"1.1": pages},
        vendor=dict(BENCH.counters.vendor) | {"total_printed": pages, "mono": pages - 23_456},
    )  # fmt: skip
    trays = tuple(
        _at_level(tray, 550 - (7 * number + (own >> place)) % 500) for place, tray in enumerate(BENCH.trays)
    )
    supplies = tuple(
        _at_level(supply, max(100 - (own >> place) % 40 - (number + own % 50) // 50, 0) * (supply.capacity or 0) // 100)
        for place, supply in enumerate(BENCH.supplies[:-1])
    )  # fmt: skip
    identity = msgspec.structs.replace(BENCH.identity, serial=f"XYZ{own:010d}")
    return msgspec.structs.replace(
        BENCH, device_id=device, seq=number + 1, polled_at=START + number * step, counters=counters, trays=trays,
        supplies=(*supplies, BENCH.supplies[-1]), identity=identity,
    )  # fmt: skip


def _at_level(row: Row, level: int) -> Row:
    return msgspec.structs.replace(row, level=level, percent=percent_of(level, row.capacity, None))


def completion() -> RememberedCompletion:
    """Return what the product adds to every pushed reading."""
    return RememberedCompletion(
        partial(complete_derived, profiles=load_profiles(), catalogue=load_catalogue(), book=load_fault_codes())
    )  # fmt: skip


def messages(count: int, devices: int = 2000) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        device = f"d{number % devices}"
        yield (
            f"drumbeat/v1/default/site-1/{device}/reading",
            encode_reading(bench_reading(device, number // devices)),
        )


def fill(port: int, count: int) -> None:
    """Leave `count` messages in the broker for the persistent session of `CLIENT_ID`."""
    session = paho.Client(CallbackAPIVersion.VERSION2, CLIENT_ID, clean_session=False)
    session.on_connect = lambda client, *_: client.subscribe("drumbeat/v1/+/+/+/reading", 1)
    subscribed = []
    session.on_subscribe = lambda *_: subscribed.append(True)
    session.connect("127.0.0.1", port)
    while not subscribed:
        session.loop(0.1)
    session.disconnect()
    sender = paho.Client(CallbackAPIVersion.VERSION2, "bench-fill")
    sender.max_inflight_messages_set(500)
    sender.max_queued_messages_set(0)
    sender.connect("127.0.0.1", port)
    sender.loop_start()
    last = None
    for topic, body in messages(count):
        last = sender.publish(topic, body, qos=1)
    assert last is not None
    last.wait_for_publish(120)
    while sender.want_write():
        time.sleep(0.01)
    time.sleep(0.5)
    sender.disconnect()
    sender.loop_stop()


def drumbeat(port: int, count: int, folder: str) -> None:
    """Drain the session into a store."""
    clock = SystemClock()
    store = SqliteTelemetryStore(Path(folder) / "bench.sqlite", clock)
    ingest = Ingest(store, Concluder(load_fault_codes()), SqliteDeadLetters(store), clock)
    endpoint = MqttEndpoint(port=port, client_id=CLIENT_ID, protocol="3.1.1")
    listener = MqttListener(endpoint, ingest, store, clock, complete=completion())
    settle_garbage_collection()
    began, cpu = time.perf_counter(), time.process_time()
    listener.start()
    while ingest.counters.stored < count:
        time.sleep(0.005)
    report = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    listener.stop()
    assert store.stats("default").readings == count  # type: ignore[arg-type]  # a plain tenant id
    store.close()
    print(json.dumps(report), flush=True)


def peer(port: int, count: int, influx_port: int) -> None:
    """Drain the session into a batching influxdb-client, as its examples do; an InfluxDB behind it."""
    client = InfluxDBClient(url=f"http://127.0.0.1:{influx_port}", token="t", org="o")
    options = WriteOptions(batch_size=5000, flush_interval=1000)
    writer = client.write_api(write_options=options)
    done = []

    def write(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        plain = json.loads(message.payload)
        point = Point("reading").tag("device", plain["device_id"]).time(plain["polled_at"], WritePrecision.S)
        for path, value in _flat("", plain):
            point.field(path, value)
        writer.write("b", "o", point)
        done.append(1)

    session = paho.Client(CallbackAPIVersion.VERSION2, CLIENT_ID, clean_session=False)
    session.on_message = write
    session.on_connect = lambda client, *_: client.subscribe("drumbeat/v1/+/+/+/reading", 1)
    began, cpu = time.perf_counter(), time.process_time()
    session.connect("127.0.0.1", port)
    session.loop_start()
    while len(done) < count:
        time.sleep(0.005)
    writer.close()
    report = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    session.disconnect()
    session.loop_stop()
    client.close()
    print(json.dumps(report), flush=True)


def _flat(path: str, body: object) -> Iterator[tuple[str, object]]:
    if isinstance(body, dict):
        for key, value in body.items():
            yield from _flat(f"{path}.{key}" if path else key, value)
    elif isinstance(body, list):
        for number, value in enumerate(body):
            yield from _flat(f"{path}.{number}", value)
    elif body is not None:
        yield path, body


def wide_lines(count: int) -> list[str]:
    """Return the bench readings as points with every value as a field, as an InfluxDB of its own would keep them."""
    found = []
    for number in range(count):
        device = f"d{number % 2000}"
        plain = msgspec.json.decode(encode_reading(bench_reading(device, number // 2000)))
        point = Point("reading").tag("device", device).time(1_772_409_600_000_000 + number)
        for path, value in _flat("", plain):
            point.field(path, value)
        found.append(point.to_line_protocol())
    return found


def writer(folder: str, values_a_second: float, seconds: float) -> None:
    """Write readings at a steady rate, from another process than the reader."""
    store = SqliteTelemetryStore(Path(folder) / "bench.sqlite", SystemClock())
    batch = 50
    pause = batch * VALUES / values_a_second
    began, number = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        store.append(
            [
                Landing(reading=bench_reading(f"d{(number + n) % 2000}", 10_000 + (number + n) // 2000))
                for n in range(batch)
            ]
        )
        number += batch
        time.sleep(max(0.0, began + number / batch * pause - time.perf_counter()))
    print(json.dumps({"values_a_second": number * VALUES / (time.perf_counter() - began)}), flush=True)
    store.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["peer", port, count, influx_port]:
            peer(int(port), int(count), int(influx_port))
        case ["drumbeat", port, count, folder]:
            drumbeat(int(port), int(count), folder)
        case ["writer", folder, rate, seconds]:
            writer(folder, float(rate), float(seconds))
