"""When to tell a sender how far its readings are safe: at most one retained message a second and device."""

import time
from collections.abc import Iterator, Mapping
from typing import Final

from collector.mqtt.payloads import encode_ack
from collector.mqtt.topics import Kind, Topic
from collector.sequences import SequenceRanges

#: The last boots that an acknowledgement names.
BOOTS: Final = 8
_PAUSE_SECONDS: Final = 1.0
#: While more messages wait than one batch, marks are rarer: landing comes first, and senders wait 30 seconds.
_BUSY_PAUSE_SECONDS: Final = 5.0

Device = tuple[str, str, str]  # tenant, site, device


class MarkSchedule:
    """Remembers which devices have news, and when each was told last."""

    def __init__(self) -> None:
        self._told: dict[Device, float] = {}
        self._news: dict[Device, None] = {}
        self._begun = time.monotonic()

    def touch(self, device: Device) -> None:
        self._news[device] = None

    def due(self, *, busy: bool = False) -> Iterator[Device]:
        """Yield devices with news that were not told a moment ago, and count them as told."""
        now, pause = time.monotonic(), _BUSY_PAUSE_SECONDS if busy else _PAUSE_SECONDS
        for device in list(self._news):
            if now - self._told.get(device, self._begun if busy else -pause) >= pause:
                del self._news[device]
                self._told[device] = now
                yield device
        if len(self._told) > 200_000:
            self._told = {device: told for device, told in self._told.items() if now - told < _PAUSE_SECONDS}

    @property
    def waiting(self) -> int:
        return len(self._news)


def ack_of(device: Device, received: Mapping[str, SequenceRanges]) -> tuple[str, bytes] | None:
    """Return topic and payload of the marks, or None when nothing is safe from its start on."""
    marks = [(boot_id, ranges.mark) for boot_id, ranges in received.items()]
    safe = [(boot_id, mark) for boot_id, mark in marks if mark is not None]
    if not safe:
        return None
    return str(Topic(*device, Kind.ACK)), encode_ack(safe[:BOOTS])
