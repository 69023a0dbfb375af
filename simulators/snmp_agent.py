"""One simulated SNMP agent: turns a datagram into its answer for versions 1, 2c and 3 (RFC 1157, 3416, 3412, 3414).

Faults that live in the answer itself are applied here; those of the network (loss, delay, a wrong sender) in
`simulators.snmp_fleet`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from simulators import ber
from simulators.snmp_faults import SnmpFaults, spoil
from simulators.snmp_view import (
    GET,
    GET_BULK,
    GET_NEXT,
    NO_ERROR,
    RESPONSE,
    SET,
    TOO_BIG,
    Layout,
    Layouts,
    Plan,
    Value,
)
from simulators.usm import Engine, Incoming, UsmUsers

Source = Callable[[datetime], Mapping[str, Value]]

LARGEST_MESSAGE: Final = 65_507
LARGEST_BULK: Final = 1_400  # printers keep bulk answers within one Ethernet frame
SUPPLY_TABLES: Final = ("1.3.6.1.2.1.43.11.", "1.3.6.1.2.1.43.12.")
SYS_UP_TIME: Final = "1.3.6.1.2.1.1.3.0"
_NO_ERRORS: Final = ber.integer(0) + ber.integer(0)
_VERSIONS: Final = {0: ber.integer(0), 1: ber.integer(1)}


class SnmpAgent:
    """An agent over a source of rows. Rows are asked for anew when they are older than `refresh`.

    Of a fixed recording `refresh` is None. `community` None accepts every name.
    """

    __slots__ = (
        "_fresh_until",
        "_layouts",
        "_source",
        "community",
        "engine",
        "faults",
        "layout",
        "rebooted_at",
        "refresh",
        "values",
    )

    def __init__(
        self,
        source: Source,
        layouts: Layouts,
        *,
        refresh: timedelta | None = timedelta(seconds=30),
        community: bytes | None = b"public",
        engine: Engine | None = None,
        faults: SnmpFaults | None = None,
    ) -> None:
        self._source = source
        self._layouts = layouts
        self.refresh = refresh
        self.community = community
        self.engine = engine
        self.faults = faults
        self.layout: Layout | None = None
        self.values: list[bytes] = []
        self.rebooted_at: datetime | None = None
        self._fresh_until: datetime | None = None

    def show(self, layout: Layout, values: list[bytes]) -> None:
        """Show fixed rows from now on."""
        self.layout, self.values, self.refresh = layout, values, None

    def rows(self, now: datetime) -> Mapping[str, Value]:
        """Return the rows of the source at `now`."""
        return self._source(now)

    def reboot(self, now: datetime) -> None:
        """Start the agent anew: sysUpTime and the engine's time from zero, one engine boot more."""
        self.rebooted_at = now
        self._fresh_until = None
        if self.engine is not None:
            self.engine.reboot(now)

    def _since_reboot(self, rows: Mapping[str, Value], now: datetime) -> Mapping[str, Value]:
        if self.rebooted_at is None or SYS_UP_TIME not in rows:
            return rows
        ticks = int((now - self.rebooted_at) / timedelta(milliseconds=10))
        return {**rows, SYS_UP_TIME: ticks}

    def look(self, now: datetime) -> Layout:
        """Return the layout after bringing the rows up to date."""
        layout = self.layout
        stale = self.refresh is not None and (self._fresh_until is None or now >= self._fresh_until)
        if layout is None or stale:
            rows = self._since_reboot(self.rows(now), now)
            layout = self._layouts.of(rows)
            self.layout = layout
            self.values = layout.encode(rows, self._layouts.pool)
            if self.refresh is not None:
                self._fresh_until = now + self.refresh
        return layout

    def answer(self, data: bytes, now: datetime, users: UsmUsers | None = None) -> bytes | None:
        """Return the answer to a datagram, or None where an agent keeps silent. Raises `BerError` for garbage."""
        start, _ = ber.expect(data, 0, ber.SEQUENCE)
        version, at = ber.read_integer(data, start)
        if version == 3:
            if self.engine is None or users is None:
                return None
            return self.engine.process(data, users, now, lambda message: self._answer_scoped(message, now))
        community, at = ber.read_octets(data, at)
        name, _, context = community.partition(b"@") if self._hides_supplies else (community, b"", b"")
        if version not in _VERSIONS or (self.community is not None and name != self.community):
            return None
        pdu = self._answer_pdu(version, data, at, now, LARGEST_MESSAGE, context)
        if pdu is None:
            return None
        return ber.tlv(ber.SEQUENCE, _VERSIONS[version] + ber.octets(community) + pdu)

    def _answer_scoped(self, message: Incoming, now: datetime) -> bytes | None:
        most = min(message.max_size - 200, LARGEST_MESSAGE)
        return self._answer_pdu(1, message.pdu, 0, now, most, message.context)

    @property
    def _hides_supplies(self) -> bool:
        return self.faults is not None and bool(self.faults.supply_context)

    def _view(self, now: datetime, context: bytes) -> tuple[Layout, list[bytes]]:
        """Return layout and rows as a context shows them; only a device that hides its supplies makes a difference."""
        layout = self.look(now)
        if self.faults is None or not self._hides_supplies or context == self.faults.supply_context.encode():
            return layout, self.values
        rows = {oid: value for oid, value in self.rows(now).items() if not oid.startswith(SUPPLY_TABLES)}
        layout = self._layouts.of(rows)
        return layout, layout.encode(self._since_reboot(rows, now), self._layouts.pool)

    def _answer_pdu(
        self, version: int, data: bytes, at: int, now: datetime, most: int, context: bytes
    ) -> bytes | None:
        tag, start, end = ber.read(data, at)
        if tag not in {GET, GET_NEXT, GET_BULK, SET}:
            return None
        id_start, id_end = ber.expect(data, start, ber.INTEGER)
        request_id = data[start:id_end]
        if id_end - id_start > 5:
            raise ber.BerError("request-id of more than five octets")
        layout, values = self._view(now, context)
        plan = layout.plan(version, tag, data[id_end:end])
        if self.faults is not None and self.faults.bites_answer:
            spoiled = spoil(self.faults, tag, request_id, data[id_end:end], plan, self)
            if spoiled is not None:
                return spoiled
        varbinds = plan.varbinds(values)
        if tag == GET_BULK:
            if len(varbinds) > min(LARGEST_BULK, most):
                varbinds = _cut(plan, values, min(LARGEST_BULK, most))
        elif len(varbinds) > most - 100:
            return self._too_big(version, request_id, data[id_end:end])
        status = _NO_ERRORS
        if plan.error[0] != NO_ERROR:
            status = ber.integer(plan.error[0]) + ber.integer(plan.error[1])
        return ber.tlv(RESPONSE, request_id + status + ber.tlv(ber.SEQUENCE, varbinds))

    @staticmethod
    def _too_big(version: int, request_id: bytes, question: bytes) -> bytes:
        """Return tooBig: version 1 echoes the varbinds, later ones send none (RFC 3416, 4.2.1)."""
        echo = b""
        if version == 0:
            _, at = ber.read_integer(question, 0)
            _, at = ber.read_integer(question, at)
            start, end = ber.expect(question, at, ber.SEQUENCE)
            echo = question[start:end]
        return ber.tlv(
            RESPONSE, request_id + ber.integer(TOO_BIG) + ber.integer(0) + ber.tlv(ber.SEQUENCE, echo)
        )


def _cut(plan: Plan, values: list[bytes], most: int) -> bytes:
    """Return the first varbinds of a bulk answer that fit, at least one."""
    kept: list[bytes] = []
    size = 0
    for part in plan.parts:
        piece = values[part] if isinstance(part, int) else part
        if kept and size + len(piece) > most:
            break
        kept.append(piece)
        size += len(piece)
    return b"".join(kept)
