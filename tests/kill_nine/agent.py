"""The edge agent of the kill test: makes readings of some devices and sends them. Arguments: folder, port, devices, rate.

A file `pause` in the folder stops the making, so that the ledger can be balanced. The ring's own numbering is the ledger of
what was generated.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from collector.mqtt.connection import MqttEndpoint
from collector.mqtt.edge import EdgeAgent
from collector.mqtt.ring import EdgeRing
from config.clock import SystemClock
from tests.telemetry_readings import reading


def main() -> None:
    folder, port, devices, rate = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    ring = EdgeRing(folder / "ring.sqlite")
    agent = EdgeAgent(
        MqttEndpoint(port=port, client_id="agent", keepalive_seconds=5),
        ring,
        SystemClock(),
        tenant="default",
        site_id="site-1",
        resend_seconds=1.0,
    )
    agent.start()
    began = datetime(2026, 1, 1, tzinfo=UTC)
    while True:
        if not (folder / "pause").exists():
            agent.offer([_reading(f"d{number}", began) for number in range(devices)])
        time.sleep(devices / rate)


def _reading(device: str, began: datetime):
    minutes = (SystemClock().now() - began).total_seconds() / 60 - 60 * 24 * 60
    return reading(device, minutes=minutes, pages=round(minutes) + 200_000)


main()
