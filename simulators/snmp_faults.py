"""What can be wrong with an agent or the way to it, as data per device; each kind has a test that shows its effect."""

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simulators import ber
from simulators.snmp_view import GET, GET_BULK, GET_NEXT, RESPONSE, TOO_BIG, Plan, asked_oids

if TYPE_CHECKING:
    from simulators.snmp_agent import SnmpAgent

#: Kinds of broken answers that `malformed` chooses from.
MALFORMED: Final = ("cut", "garbage", "long_length", "wrong_tag", "empty")


@dataclass(slots=True, kw_only=True)
class SnmpFaults:
    """Faults of one agent; the defaults are a healthy one. Chances are 0..1 per datagram, drawn from `seed`."""

    dead: bool = False
    delay_seconds: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    too_big_over: int | None = None  # tooBig for questions of more varbinds than this
    malformed: float = 0.0
    spoofed: bool = False  # answers come from another address
    endless: bool = False  # GETNEXT and GETBULK never end
    decreasing: bool = False  # GETNEXT goes backwards
    wrong_oid: bool = False  # the first name of an answer is not the one asked
    wrong_count: bool = False  # the last varbind of an answer is missing
    wrong_request_id: bool = False
    supply_context: str = ""  # supplies show only in this context (v3), or to the community public@CONTEXT
    seed: int = 0
    chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - faults are drawn reproducibly, nothing is secret

    @property
    def bites_answer(self) -> bool:
        """True if an answer itself may be spoiled."""
        return (
            self.too_big_over is not None
            or self.endless
            or self.decreasing
            or self.wrong_oid
            or self.wrong_count
            or self.wrong_request_id
        )


def spoil(
    faults: SnmpFaults, pdu: int, request_id: bytes, question: bytes, plan: Plan, agent: "SnmpAgent"
) -> bytes | None:
    """Return a spoiled response PDU, or None when these faults do not touch this question."""
    parts = [agent.values[part] if isinstance(part, int) else part for part in plan.parts]
    if faults.too_big_over is not None and pdu == GET and len(parts) > faults.too_big_over:
        return _response(request_id, [], TOO_BIG)
    walking = pdu in {GET_NEXT, GET_BULK}
    if faults.wrong_request_id:
        number, _ = ber.read_integer(request_id, 0)
        request_id = ber.integer((number + 1) % 2**31)
    elif faults.endless and walking:
        parts = _endless(agent, pdu, question)
    elif faults.decreasing and walking:
        parts = list(reversed(parts)) if len(parts) > 1 else agent.values[:1]
    elif faults.wrong_oid and parts:
        parts[0] = ber.tlv(ber.SEQUENCE, ber.oid("1.3.6.1.4.1.99999.1.1.0") + ber.integer(42))
    elif faults.wrong_count and parts:
        parts.pop()
    else:
        return None
    return _response(request_id, parts)


def _endless(agent: "SnmpAgent", pdu: int, question: bytes) -> list[bytes]:
    """Return the next rows, but where a column would end, invent another row of it: the walk never gets out."""
    layout = agent.layout
    if layout is None:
        return []
    answers = []
    asked = [ber.oid_from_body(body) for body in asked_oids(question)]
    for _ in range(1 if pdu == GET_NEXT else 20):
        for i, numbers in enumerate(asked):
            at = bisect_right(layout.numbers, numbers)
            inside = at > 0 and layout.numbers[at - 1][:-1] == numbers[:-1]
            goes_on = at < len(layout.numbers) and layout.numbers[at][:-1] == numbers[:-1]
            if inside and not goes_on:
                asked[i] = (*numbers[:-1], numbers[-1] + 1)
                name = ber.tlv(ber.OID, ber.oid_body(asked[i]))
                answers.append(ber.tlv(ber.SEQUENCE, name + ber.integer(1)))
            elif at < len(layout.numbers):
                asked[i] = layout.numbers[at]
                answers.append(agent.values[at])
    return answers


def _response(request_id: bytes, varbinds: list[bytes], status: int = 0) -> bytes:
    body = request_id + ber.integer(status) + ber.integer(0) + ber.tlv(ber.SEQUENCE, b"".join(varbinds))
    return ber.tlv(RESPONSE, body)


def break_datagram(faults: SnmpFaults, answer: bytes) -> bytes:
    """Return an answer that is not BER any more, in one of the ways of `MALFORMED`."""
    kind = faults.chance.choice(MALFORMED)
    if kind == "cut":
        return answer[: max(len(answer) // 2, 1)]
    if kind == "garbage":
        return faults.chance.randbytes(min(len(answer), 60))
    if kind == "long_length":
        return answer[:1] + b"\x84\x7f\xff\xff\xff" + answer[2:]
    if kind == "wrong_tag":
        return b"\x31" + answer[1:]
    return b""
