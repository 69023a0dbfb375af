"""One request and its reply, by SNMP version: encoding from templates, reading with every check the protocol allows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.snmp import ber, pdu, usm
from collector.snmp.ber import Malformed
from collector.snmp.engine import (
    AuthenticationFailed,
    Community,
    EngineStatistics,
    RequestRefused,
    TooBig,
)
from collector.snmp.usm import Security
from crm_core.domain.errors import DeviceMisbehaved

_ERRORS: Final = {
    1: "tooBig", 2: "noSuchName", 3: "badValue", 4: "readOnly", 5: "genErr", 6: "noAccess", 16: "authorizationError",
}  # fmt: skip


@dataclass(slots=True)
class Reply:
    """A reply that came from the right device to the right request.

    `values` are those of a GET in the asked order; None when the reply has another shape or an error: then `rows` holds
    what it has. `resynchronised`: a v3 report that the request should be sent once more. `refusal`: one that must not.
    """

    values: list[pdu.Value] | None = None
    rows: list[tuple[str, pdu.Value]] = field(default_factory=list)
    error_status: int = 0
    error_index: int = 0
    resynchronised: bool = False
    refusal: str | None = None

    def missing_name(self, oids: Sequence[str]) -> int | None:
        """Return the position of the OID that a noSuchName error names, or None for any other reply."""
        if self.error_status == pdu.NO_SUCH_NAME and 1 <= self.error_index <= len(oids):
            return self.error_index - 1
        return None


def refused(reply: Reply, statistics: EngineStatistics, asked: Sequence[str]) -> Exception:
    """Return the exception that says why a reply cannot be used."""
    if reply.refusal is not None:
        statistics.reject("security")
        return AuthenticationFailed(reply.refusal)
    if reply.error_status == pdu.TOO_BIG:
        return TooBig(f"the device cannot answer {len(asked)} OIDs at once")
    if reply.error_status:
        name = _ERRORS.get(reply.error_status, str(reply.error_status))
        return RequestRefused(f"the device answered with the error {name}")
    if len(reply.rows) != len(asked):
        statistics.reject("count")
        return DeviceMisbehaved(f"asked for {len(asked)} OIDs, the reply holds {len(reply.rows)}")
    statistics.reject("oid")
    return DeviceMisbehaved("the reply holds OIDs that were not asked for")


class CommunityExchange:
    """SNMP v1 and v2c."""

    __slots__ = ("_community", "_expected", "_kind", "_oids", "_parts", "_version")

    def __init__(self, credential: Community, kind: int, oids: tuple[str, ...], repetitions: int) -> None:
        self._version = 0 if credential.version == "1" else 1
        self._community = credential.name.encode()
        self._kind, self._oids = kind, oids
        self._parts = pdu.community_template(self._version, self._community, kind, oids, 0, repetitions)
        self._expected = pdu.encoded_oids(oids) if kind == pdu.GET else None

    def encode(self, request_id: int) -> bytes:
        """Return the datagram under this request-id."""
        before, after = self._parts
        return before + request_id.to_bytes(4, "big") + after

    def read(self, data: bytes) -> Reply:
        """Return what the reply says; raise `Malformed` when it must be ignored."""
        at, end = pdu.community_pdu(data, self._version, self._community)
        return read_pdu(data, at, end, self._expected)


def read_pdu(data: bytes, at: int, end: int, expected: tuple[bytes, ...] | None) -> Reply:
    """Return what the PDU between two positions says."""
    kind, _, status, index, start, stop = pdu.pdu_head(data, at, end)
    if kind != pdu.RESPONSE:
        raise Malformed("the message is no response")
    if status == pdu.NO_ERROR and expected is not None:
        values = pdu.read_exact(data, start, stop, expected)
        if values is not None:
            return Reply(values=values)
    if not 0 <= status <= 255:
        raise Malformed("the error status is out of range")
    rows = pdu.read_varbinds(data, start, stop)
    if status == pdu.NO_ERROR and expected is not None and len(rows) == len(expected):
        encoded = tuple(ber.encode_oid(oid) for oid, _ in rows)
        if encoded == expected:  # right OIDs in an unusual encoding
            return Reply(values=[value for _, value in rows])
    return Reply(rows=rows, error_status=status, error_index=index)


class UsmExchange:
    """SNMP v3 with user-based security."""

    __slots__ = ("_context", "_expected", "_parts", "_security")

    def __init__(
        self, security: Security, context: str, kind: int, oids: tuple[str, ...], repetitions: int
    ) -> None:
        self._security = security
        self._context = context.encode()
        self._parts = pdu.template(kind, oids, 0, repetitions)
        self._expected = pdu.encoded_oids(oids) if kind == pdu.GET else None

    def encode(self, request_id: int) -> bytes:
        """Return the datagram; message id and request-id are the same number."""
        before, after = self._parts
        inner = before + request_id.to_bytes(4, "big") + after
        security = self._security
        return security.encode(request_id, usm.scoped(security.engine_id, self._context, inner))

    def read(self, data: bytes) -> Reply:
        """Return what the reply says; raise `Malformed` when it must be ignored."""
        security = self._security
        opened = security.open(data)
        at, end = opened.pdu()
        if opened.plain[at] == pdu.REPORT:
            return self._read_report(opened, at, end)
        if opened.head.engine_id != security.engine_id or opened.head.flags & 3 != security.flags:
            raise Malformed("the reply is of another engine or security level")
        if opened.authentic and not security.is_timely(opened.head):
            raise Malformed("an old reply was sent again")
        if pdu.pdu_head(opened.plain, at, end)[1] != opened.head.message_id:
            raise Malformed("the request-id is another one")
        return read_pdu(opened.plain, at, end, self._expected)

    def _read_report(self, opened: usm.Opened, at: int, end: int) -> Reply:
        """Judge a report: discovery and clock corrections lead to one more try, everything else is a refusal."""
        head, security = opened.head, self._security
        _, _, _, _, start, stop = pdu.pdu_head(opened.plain, at, end)
        rows = pdu.read_varbinds(opened.plain, start, stop)
        oid = rows[0][0] if rows else ""
        if oid == usm.UNKNOWN_ENGINE_IDS and head.engine_id:  # discovery, or the device was exchanged
            security.learn(head.engine_id, head.boots, head.time)
            return Reply(resynchronised=True)
        if oid == usm.NOT_IN_TIME_WINDOWS and opened.authentic and head.engine_id == security.engine_id:
            security.learn(head.engine_id, head.boots, head.time)
            return Reply(resynchronised=True)
        return Reply(refusal=usm.REPORTS.get(oid, "the device refuses the v3 request"))
