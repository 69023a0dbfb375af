"""The collector of the kill test. Arguments: folder, MQTT port, InfluxDB endpoint or null as JSON, `honest` or `planted`.

It prints `landed` when its first reading is durable. `planted` acknowledges before the commit, to prove that the checker finds
what that loses.
"""

import sys
import time
from functools import partial
from pathlib import Path

import msgspec

from collector.dead_letters import SqliteDeadLetters
from collector.ingest import Ingest
from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.listener import MqttListener
from collector.mqtt.payloads import encode_ack, pushed_reading
from collector.mqtt.topics import Kind, Topic, parse_topic
from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influxdb import InfluxEndpoint, InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.errors import DrumbeatError, StoreUnavailable
from crm_core.signals import conclude


class PlantedListener(MqttListener):
    """Wrong on purpose: tells the mark and acknowledges as soon as a message is there, and lands it a little later."""

    def _land(self, batch) -> None:
        for message in batch:
            topic = parse_topic(message.topic.decode())
            if topic.kind is Kind.READING:
                pushed = pushed_reading(topic, message.payload, self._clock.now()).reading
                ack = Topic(topic.tenant, topic.site_id, topic.device_id, Kind.ACK)
                self.connection.publish(str(ack), encode_ack([(pushed.boot_id, pushed.seq)]), retain=True)
        self.connection.acknowledge(batch)
        time.sleep(0.2)
        super()._land(batch)


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    endpoint = msgspec.json.decode(sys.argv[3], type=InfluxEndpoint | None)
    clock = SystemClock()
    store = SqliteTelemetryStore(folder / "telemetry.sqlite", clock, lines=endpoint is not None)
    ingest = Ingest(store, partial(conclude, book=load_fault_codes()), SqliteDeadLetters(store), clock)
    make = PlantedListener if sys.argv[4] == "planted" else MqttListener
    listener = make(MqttEndpoint(port=port, keepalive_seconds=5), ingest, store, clock)
    listener.start()
    forwarder = None
    if endpoint is not None:
        server = InfluxServer(endpoint)
        forwarder = InfluxForwarder(Outbox(store, clock), server, retry_seconds=0.2, longest_seconds=0.5)
    told = False
    while True:
        if not told and ingest.counters.stored:
            print("landed", flush=True)
            told = True
        if forwarder is not None:
            try:
                forwarder.drain()
            except (StoreUnavailable, DrumbeatError):
                time.sleep(0.05)
        time.sleep(0.02)


main()
