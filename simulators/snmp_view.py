"""What an agent shows: ordered object identifiers with encoded values, and answers worked out once per question.

Pollers repeat their questions, so a `Layout` (the ordered names, shared by all agents that have them) remembers
for each question which rows answer it; an agent is then only a list of encoded varbinds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from simulators import ber

Value = int | bytes | str
Row = tuple[str, int, bytes]  # OID, tag, content octets of a recording

GET: Final = 0xA0
GET_NEXT: Final = 0xA1
RESPONSE: Final = 0xA2
SET: Final = 0xA3
GET_BULK: Final = 0xA5
INFORM: Final = 0xA6
TRAP_V2: Final = 0xA7
TRAP_V1: Final = 0xA4
REPORT: Final = 0xA8

NO_ERROR, TOO_BIG, NO_SUCH_NAME, GEN_ERR, NOT_WRITABLE = 0, 1, 2, 5, 17

MOST_PLANS: Final = 512
_TEXTS: Final = frozenset({ber.OCTETS, ber.OID})
MOST_REPETITIONS: Final = 200
_COUNTERS: Final = (
    "1.3.6.1.2.1.43.10.2.1.4.",
    "1.3.6.1.2.1.43.10.2.1.5.",
    "1.3.6.1.2.1.43.5.1.1.18.",
    "1.3.6.1.2.1.43.5.1.1.19.",
    "1.3.6.1.4.1.1347.4",
    "1.3.6.1.4.1.2385.1.1.19.2.1.3.",
    "1.3.6.1.4.1.18334.1.1.1.5.7.2.",
)
_TICKS: Final = ("1.3.6.1.2.1.1.3.", "1.3.6.1.2.1.43.18.1.1.9.")


def tag_of(oid: str, value: Value) -> int:
    """Return the SNMP type of a row from its name: counters, time ticks, else by the value's own kind."""
    if isinstance(value, bytes):
        return ber.OCTETS
    if isinstance(value, str):
        return ber.OID
    if oid.startswith(_TICKS):
        return ber.TIMETICKS
    return ber.COUNTER32 if oid.startswith(_COUNTERS) else ber.INTEGER


def encode_value(tag: int, value: Value) -> bytes:
    """Return the TLV of a value; a counter wraps at 32 bits as on the wire, an INTEGER to the negative (32 bits signed)."""
    if isinstance(value, bytes):
        return ber.octets(value, tag)
    if isinstance(value, str):
        return ber.oid(value)
    if tag != ber.INTEGER:
        return ber.integer(value % 2**32, tag)
    return ber.integer((value + 2**31) % 2**32 - 2**31)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to answer one question: which rows, or ready-made bytes; `error` (status, index) where it cannot be."""

    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]] | None
    parts: tuple[int | bytes, ...]
    error: tuple[int, int] = (NO_ERROR, 0)

    def varbinds(self, values: Sequence[bytes]) -> bytes:
        """Return the varbinds for an agent's rows."""
        if self.pick is not None:
            return b"".join(self.pick(values))
        return b"".join([values[p] if isinstance(p, int) else p for p in self.parts])


def make_plan(parts: Sequence[int | bytes], error: tuple[int, int] = (NO_ERROR, 0)) -> Plan:
    """Return the plan of `parts`; rows only are picked in one call."""
    plain = len(parts) > 1 and all(isinstance(part, int) for part in parts)
    return Plan(itemgetter(*parts) if plain else None, tuple(parts), error)


class Layout:
    """The ordered names of an agent's rows, with the tag of each, and the plans of questions seen so far."""

    __slots__ = ("_plans", "names", "numbers", "order", "tags")

    def __init__(self, tags: Mapping[str, int]) -> None:
        self.order = tuple(sorted(tags, key=ber.oid_numbers))
        self.numbers = [ber.oid_numbers(name) for name in self.order]
        self.names = [ber.oid(name) for name in self.order]
        self.tags = [tags[name] for name in self.order]
        self._plans: dict[tuple[int, int, bytes], Plan] = {}

    def encode(self, rows: Mapping[str, Value], pool: "Pool") -> list[bytes]:
        """Return the encoded varbinds of an agent with these rows; equal ones of many agents are one object."""
        values = []
        for name, oid, tag in zip(self.order, self.names, self.tags, strict=True):
            value = rows[name]
            varbind = ber.tlv(ber.SEQUENCE, oid + encode_value(tag, value))
            common = isinstance(value, int) and tag == ber.INTEGER and -4 < value < 1200
            values.append(pool.shared(varbind) if common or tag in _TEXTS else varbind)
        return values

    def plan(self, version: int, pdu: int, question: bytes) -> Plan:
        """Return how to answer `question`: the octets of a PDU after its request-id. Raises `BerError`."""
        key = (version, pdu, question)
        found = self._plans.get(key)
        if found is None:
            found = self._work_out(version, pdu, question)
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = found
        return found

    def _work_out(self, version: int, pdu: int, question: bytes) -> Plan:
        first, at = ber.read_integer(question, 0)
        second, at = ber.read_integer(question, at)
        start, end = ber.expect(question, at, ber.SEQUENCE)
        asked = asked_oids(question)
        if pdu == GET_BULK and version > 0:
            return self._bulk(asked, max(first, 0), min(max(second, 0), MOST_REPETITIONS))
        if pdu in {GET, GET_NEXT}:
            answers = [self._get(o) if pdu == GET else self._next(o, version) for o in asked]
            if version == 0:
                for i, (answer, oid) in enumerate(zip(answers, asked, strict=True)):
                    if self._missing_in_v1(answer, oid):
                        return make_plan([question[start:end]], (NO_SUCH_NAME, i + 1))
            return make_plan(answers)
        if pdu == SET:
            status = NOT_WRITABLE if version > 0 else NO_SUCH_NAME
            return make_plan([question[start:end]], (status, 1 if asked else 0))
        raise ber.BerError(f"PDU {pdu:#x} is not a question")

    def _missing_in_v1(self, answer: int | bytes, _oid: bytes) -> bool:
        """Return True where version 1 has no word for the answer: exceptions and Counter64."""
        return isinstance(answer, bytes) or self.tags[answer] == ber.COUNTER64

    def _get(self, oid: bytes) -> int | bytes:
        numbers = ber.oid_from_body(oid)
        at = bisect_left(self.numbers, numbers)
        if at < len(self.numbers) and self.numbers[at] == numbers:
            return at
        near = self.numbers[max(at - 1, 0) : at + 1]
        known = any(other[: len(numbers) - 1] == numbers[:-1] for other in near)
        return _exception(oid, ber.NO_SUCH_INSTANCE if known else ber.NO_SUCH_OBJECT)

    def _next(self, oid: bytes, version: int) -> int | bytes:
        at = bisect_right(self.numbers, ber.oid_from_body(oid))
        while version == 0 and at < len(self.tags) and self.tags[at] == ber.COUNTER64:
            at += 1
        return at if at < len(self.numbers) else _exception(oid, ber.END_OF_MIB_VIEW)

    def _bulk(self, asked: Sequence[bytes], non_repeaters: int, repetitions: int) -> Plan:
        """Return the rows of a GETBULK (RFC 3416, 4.2.3): repetitions interleaved, stopped when all have ended."""
        parts: list[int | bytes] = [self._next(oid, 1) for oid in asked[:non_repeaters]]
        heads = [self._next(oid, 1) for oid in asked[non_repeaters:]]
        ends: list[bytes] = list(asked[non_repeaters:])
        for _ in range(repetitions if heads else 0):
            parts += heads
            if not any(isinstance(head, int) for head in heads):
                break
            for i, head in enumerate(heads):
                if isinstance(head, int):
                    ends[i] = ber.oid_body(self.numbers[head])
                    last = head + 1 >= len(self.numbers)
                    heads[i] = _exception(ends[i], ber.END_OF_MIB_VIEW) if last else head + 1
        return make_plan(parts)


def _exception(oid: bytes, marker: bytes) -> bytes:
    """Return a varbind whose value is an exception."""
    return ber.tlv(ber.SEQUENCE, ber.tlv(ber.OID, oid) + marker)


def asked_oids(question: bytes) -> list[bytes]:
    """Return the content octets of the names in a question (a PDU after its request-id). Raises `BerError`."""
    _, at = ber.read_integer(question, 0)
    _, at = ber.read_integer(question, at)
    at, end = ber.expect(question, at, ber.SEQUENCE)
    asked = []
    while at < end:
        start, stop = ber.expect(question, at, ber.SEQUENCE)
        name, name_end = ber.expect(question, start, ber.OID)
        ber.read(question, name_end)
        ber.oid_from_body(question[name:name_end])
        asked.append(question[name:name_end])
        at = stop
    return asked


class Pool:
    """One object for equal octets, up to a bound; what comes later is not shared."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = 30_000) -> None:
        self._known: dict[bytes, bytes] = {}
        self._most = most

    def shared(self, octets: bytes) -> bytes:
        """Return the object kept for these octets."""
        if len(self._known) >= self._most:
            return self._known.get(octets, octets)
        return self._known.setdefault(octets, octets)


class Layouts:
    """The layouts in use, by their names in the order given; old ones are forgotten when there are many."""

    def __init__(self, most: int = 2048) -> None:
        self.pool = Pool()
        self._known: dict[tuple[str, ...], Layout] = {}
        self._most = most

    def of(self, rows: Mapping[str, Value]) -> Layout:
        """Return the layout of `rows`, made once per set of names."""
        key = tuple(rows)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= self._most:
                self._known.clear()
            found = Layout({name: tag_of(name, value) for name, value in rows.items()})
            self._known[key] = found
        return found
