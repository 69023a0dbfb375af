"""Prints what Drumbeat reads from the recordings beside what LibreNMS expects in its own tests: `python -m tests.peer_table`.

Drumbeat polls every recording over real UDP. The peer's figures are the `peer` part of the expected files, reduced by their
collector; a value is right when it equals the fact (percent: rounded), invented when it shows a number where facts have none.
"""

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.profiles import load_profiles
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.wire import encode_reading
from simulators.recordings import RecordingPlayer
from tests.snmp_scores import Score

DATA = Path(os.environ.get("DRUMBEAT_SHARED", "../shared")) / "real_printers"
ROWS = ("supplies", "trays", "alerts", "errors", "identity", "vendor_status")
LIBRENMS = "LibreNMS"


@dataclass
class Peer:
    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    invented: Counter[str] = field(default_factory=Counter)

    def judge(self, part: str, fact: Any, shown: Any) -> None:
        self.asked[part] += 1
        if fact is None and shown is not None:
            self.invented[part] += 1
        self.right[part] += fact == shown

    def compare(self, facts: dict[str, Any], peer: dict[str, Any]) -> None:
        levels = {
            (row["type"] == "input", _index(row["oid"])): row["percent"] for row in peer.get("supplies", [])
        }
        for part in ("supplies", "trays"):
            for row in facts.get(part, []):
                fact = None if row["percent"] is None else round(row["percent"])
                self.judge(part, fact, levels.get((part == "trays", row["index"])))
        for _ in facts.get("alerts", []):
            self.judge("alerts", "a row", None)  # LibreNMS reads no alert table
        states = {
            _index(row["oid"]): row["value"] for row in peer.get("states", []) if "Error" in row["name"]
        }
        for index, names in (facts.get("status") or {}).get("errors", {}).items():
            shown = next((value for key, value in states.items() if key.endswith(index)), None)
            self.judge("errors", bool(names), bool(shown) if shown is not None else None)
        for name in ("model", "serial", "firmware"):
            fact = facts.get("identity", {}).get(name)
            if fact is not None:
                self.judge("identity", fact, peer.get("identity", {}).get(name))
        for name, fact in facts.get("vendor_status", {}).items():
            self.judge("vendor_status", fact, peer.get("sensors", {}).get(name))


def _index(oid: str) -> str:
    return ".".join(oid.split(".")[-2:])


async def readings(player: RecordingPlayer) -> dict[str, dict[str, Any]]:
    engine, found = DatagramEngine(), {}
    poller = Poller(
        engine,
        profiles=load_profiles(),
        catalogue=Catalogue([]),
        book=load_fault_codes(),
        clock=SystemClock(),
    )
    try:
        for name, address in player.addresses.items():
            found[name] = json.loads(
                encode_reading(await poller.poll(PollTarget(host=address, port=player.port)))
            )
    finally:
        await engine.close()
    return found


def table() -> tuple[Score, Peer, str]:
    """Return our score, the peer's, and the printed table."""
    with RecordingPlayer(DATA / "dumps", SystemClock(), first_address="127.2.4.1") as player:
        ours = asyncio.run(readings(player))
    score, peer = Score(), Peer()
    for path in sorted((DATA / "expected").glob("*.json")):
        expected = json.loads(path.read_text("utf-8"))
        score.compare(path.stem, expected["facts"], ours[path.stem])
        if (expected["peer"] or {}).get("tool") == LIBRENMS:
            peer.compare(expected["facts"], expected["peer"])
    lines = [
        f"{'part':15}{'facts':>7}{'Drumbeat':>10}{'invented':>10}   {'facts*':>7}{LIBRENMS:>10}{'invented':>10}"
    ]
    for part in ROWS:
        ours_invented = sum(where.startswith(part) for _, where, _ in score.inventions)
        lines.append(
            f"{part:15}{score.asked[part]:>7}{score.right[part]:>10}{ours_invented:>10}   "
            f"{peer.asked[part]:>7}{peer.right[part]:>10}{peer.invented[part]:>10}"
        )
    lines.append(
        "* facts of the recordings that LibreNMS tests itself; its -3 shows as 50 %, its unknown capacity as 100"
    )
    return score, peer, "\n".join(lines)


if __name__ == "__main__":
    print(table()[2])
