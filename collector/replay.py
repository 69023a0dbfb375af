"""Dead letters once more: after the cause was mended, they go the way of a message that just arrived."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.completion import Complete
from collector.dead_letters import DeadLetter, DeadLetterBox
from collector.ingest import CollectorStore, Ingest
from collector.mqtt.payloads import pushed_event, pushed_reading
from collector.mqtt.topics import Kind, parse_topic
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading
from crm_core.ports import Clock


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of one letter: landed, or why it is still refused."""

    letter_id: int
    landed: bool
    reason: str = ""


class Replayer:
    """Lands dead letters through `ingest` and removes those that landed (or were there already)."""

    def __init__(
        self,
        box: DeadLetterBox,
        ingest: Ingest,
        store: CollectorStore,
        clock: Clock,
        *,
        complete: Complete | None = None,
    ) -> None:
        self._box = box
        self._ingest = ingest
        self._store = store
        self._clock = clock
        self._complete = complete

    def replay(self, letter_ids: Sequence[int]) -> list[Replay]:
        """Replay letters in the order given; a letter that is refused again stays as it was."""
        results: list[Replay] = []
        for number in letter_ids:
            letter = self._box.get(number)
            if letter is None:
                results.append(Replay(number, landed=False, reason="there is no such letter"))
                continue
            reason = self._reason_or_land(letter)
            if reason is None:
                self._box.remove([number])
            results.append(Replay(number, landed=reason is None, reason=reason or ""))
        return results

    def _reason_or_land(self, letter: DeadLetter) -> str | None:
        try:
            if letter.origin in {"snmp", "manual"}:
                return self._land(decode_reading(letter.body))
            topic = parse_topic(letter.origin)
            if topic.kind is Kind.EVENT:
                self._ingest.land_events([pushed_event(topic, letter.body)], letter.origin)
                return None
            if topic.kind is not Kind.READING:
                return f"a {topic.kind.value} of the past is not worth repeating: remove it"
            reading = pushed_reading(topic, letter.body, self._clock.now()).reading
        except InvalidValue as error:
            return str(error)
        return self._land(reading if self._complete is None else self._complete(reading))

    def _land(self, reading: DeviceReading) -> str | None:
        objection = self._ingest.objection(reading)
        if objection is not None:
            return objection
        if reading.device_id is not None and reading.boot_id is not None and reading.seq is not None:
            self._store.unsettle(reading.tenant, reading.device_id, reading.boot_id, reading.seq)
        self._ingest.land([reading])
        return None
