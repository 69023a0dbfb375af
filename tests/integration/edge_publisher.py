"""A device that pushes readings from its own process and logs each sequence that the collector acknowledged.

The end-to-end tests start it with `python edge_publisher.py PORT SITE DEVICE BOOT COUNT LOG START [STEP_SECONDS]`. It speaks
the documented protocol (docs/mqtt.md) with nothing of the product: QoS 1, the retained high-water mark on `.../ack`, and
after a lost connection or a silent mark everything beyond the mark again. It ends when the mark covers COUNT readings.
"""

import json
import os
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt

_WINDOW = 200  # readings in flight: marks come once a second, and a kill always cuts some off
_RESEND_SECONDS = 3.0  # a broker that has no subscriber yet takes readings and drops them
_GIVE_UP_SECONDS = 120


class Publisher:
    """Pushes numbered readings; `mark` is the highest sequence known to be durable at the collector."""

    def __init__(
        self, port: int, site: str, device: str, boot: str, log: Path, start: datetime, step: float
    ) -> None:
        self.port, self.boot, self.start, self.step = port, boot, start, timedelta(seconds=step)
        self.site, self.device, self.log = site, device, log
        self.topic = f"drumbeat/v1/default/{site}/{device}"
        self.mark, self.sent = 0, 0
        self.moved = threading.Condition()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"edge-{device}")
        self.client.on_connect = self._connected
        self.client.on_message = self._acknowledged
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(f"{self.topic}/ack", qos=1)
        with self.moved:
            self.sent = self.mark  # what the mark does not cover may be lost: send it again
            self.moved.notify_all()

    def _acknowledged(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        marks = {one["boot_id"]: one["seq"] for one in json.loads(message.payload)["marks"]}
        seq = marks.get(self.boot, 0)
        with self.moved:
            if seq <= self.mark:
                return
            with self.log.open("a") as file:
                file.write("".join(f"{one}\n" for one in range(self.mark + 1, seq + 1)))
                file.flush()
                os.fsync(file.fileno())
            self.mark = seq
            self.moved.notify_all()

    def reading(self, seq: int) -> dict[str, object]:
        """Return reading number `seq`; from the tenth on the device reports a paper jam."""
        jammed = seq >= 10
        return {
            "schema": "drumbeat.reading/1", "tenant": "default", "site_id": self.site, "device_id": self.device,
            "polled_at": (self.start + self.step * seq).strftime("%Y-%m-%dT%H:%M:%SZ"), "source": "mqtt",
            "boot_id": self.boot, "seq": seq,
            "identity": {"vendor": "Kyocera", "model": "ECOSYS M3645dn", "serial": f"E2E{self.device}", "firmware": None},
            "supplies": [], "trays": [], "outputs": [], "covers": {}, "vendor_status": {},
            "alerts": [{"index": "1.1", "severity": 3, "training": 3, "group": 13, "gindex": 1, "location": 1, "code": 8,
                        "desc": "Paper jam", "time": None}] if jammed else [],
            "status": {"hrDeviceStatus": {"1": 5 if jammed else 2}, "hrPrinterStatus": {"1": 1 if jammed else 3},
                       "hrPrinterDetectedErrorState": {"1": "04" if jammed else "00"},
                       "errors": {"1": ["jammed"]} if jammed else {}, "console": []},
            "counters": {"prtMarkerLifeCount": {"1.1": 1000 + seq}, "prtMarkerCounterUnit": {"1.1": "impressions"},
                         "prtMarkerPowerOnCount": {}, "vendor": {}},
        }  # fmt: skip

    def run(self, count: int) -> bool:
        """Push `count` readings; return True when all are acknowledged, False when time ran out."""
        self.client.connect_async("127.0.0.1", self.port, keepalive=5)
        self.client.loop_start()
        ends = time.monotonic() + _GIVE_UP_SECONDS
        progress, progress_at = 0, time.monotonic()
        while time.monotonic() < ends:
            with self.moved:
                if self.mark >= count:
                    break
                if self.mark > progress:
                    progress, progress_at = self.mark, time.monotonic()
                elif time.monotonic() - progress_at > _RESEND_SECONDS:
                    self.sent, progress_at = self.mark, time.monotonic()
                waits = not self.client.is_connected() or self.sent >= min(count, self.mark + _WINDOW)
                if waits:
                    self.moved.wait(0.2)
                    continue
                self.sent += 1
                seq = self.sent
            self.client.publish(f"{self.topic}/reading", json.dumps(self.reading(seq)), qos=1)
        self.client.disconnect()
        self.client.loop_stop()
        return self.mark >= count


def main(arguments: list[str]) -> int:
    """Run one publisher from its arguments; exit code 0 when everything was acknowledged."""
    port, site, device, boot, count, log, start, *step = arguments
    publisher = Publisher(
        int(port),
        site,
        device,
        boot,
        Path(log),
        datetime.fromisoformat(start),
        float(step[0]) if step else 1.0,
    )
    return 0 if publisher.run(int(count)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
