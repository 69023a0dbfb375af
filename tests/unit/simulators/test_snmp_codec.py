"""The simulator's BER beside pyasn1, its views beside a plain model, and hostile datagrams that must do no harm."""

from bisect import bisect_right
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ

from simulators import ber
from simulators.snmp_agent import SnmpAgent
from simulators.snmp_view import GET, GET_BULK, GET_NEXT, SET, Layout, Layouts, Pool, asked_oids
from simulators.usm import Engine, UsmUser, localized_key, password_key, users_by_name

NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
USERS = users_by_name(
    UsmUser(name="u", auth="SHA256", auth_password="authauth1", priv="AES", priv_password="privpriv1")
)
numbers = st.lists(st.integers(0, 2**32 - 1), min_size=0, max_size=12)
oids = st.builds(lambda head, tail: (1, head, *tail), st.integers(0, 39), numbers)


def dotted(oid: tuple[int, ...]) -> str:
    return ".".join(map(str, oid))


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_are_those_of_pyasn1(value: int):
    assert ber.integer(value) == encoder.encode(univ.Integer(value))


@given(oids)
def test_object_identifiers_are_those_of_pyasn1(oid: tuple[int, ...]):
    whole = ber.tlv(ber.OID, ber.oid_body(oid))
    assert whole == encoder.encode(univ.ObjectIdentifier(oid))
    assert ber.oid_from_body(ber.oid_body(oid)) == oid


@given(st.binary(max_size=70_000))
def test_octets_are_those_of_pyasn1(value: bytes):
    assert ber.octets(value) == encoder.encode(univ.OctetString(value))
    assert bytes(decoder.decode(ber.octets(value))[0]) == value


def question(
    pdu: int, asked: list[tuple[int, ...]], second: int = 0, third: int = 0, version: int = 1
) -> bytes:
    varbinds = b"".join(ber.tlv(0x30, ber.tlv(ber.OID, ber.oid_body(oid)) + b"\x05\x00") for oid in asked)
    body = ber.integer(7) + ber.integer(second) + ber.integer(third) + ber.tlv(0x30, varbinds)
    return ber.tlv(0x30, ber.integer(version) + ber.octets(b"public") + ber.tlv(pdu, body))


def varbinds_of(answer: bytes) -> tuple[int, int, list[tuple[tuple[int, ...], bytes]]]:
    """Return status, index and (name, value TLV) of an answer."""
    start, _ = ber.expect(answer, 0, 0x30)
    _, at = ber.read_integer(answer, start)
    _, at = ber.read_octets(answer, at)
    at, end = ber.expect(answer, at, 0xA2)
    _, at = ber.read_integer(answer, at)
    status, at = ber.read_integer(answer, at)
    index, at = ber.read_integer(answer, at)
    at, stop = ber.expect(answer, at, 0x30)
    assert stop == end == len(answer)
    rows = []
    while at < stop:
        inner, after = ber.expect(answer, at, 0x30)
        name, name_end = ber.expect(answer, inner, ber.OID)
        rows.append((ber.oid_from_body(answer[name:name_end]), answer[name_end:after]))
        at = after
    return status, index, rows


trees = st.sets(oids.map(lambda o: (1, 3, *o[2:5])), min_size=1, max_size=25)


def agent_of(tree: set[tuple[int, ...]]) -> SnmpAgent:
    rows = {dotted(oid): i % 100 for i, oid in enumerate(sorted(tree))}
    return SnmpAgent(lambda _: rows, Layouts(), refresh=None)


@settings(max_examples=150)
@given(trees, st.lists(oids, min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 5))
def test_next_and_bulk_are_those_of_a_plain_model(tree, asked, non_repeaters, repetitions):
    agent, ordered = agent_of(tree), sorted(tree)

    def after(oid):
        at = bisect_right(ordered, oid)
        return ordered[at] if at < len(ordered) else None

    _, _, rows = varbinds_of(agent.answer(question(GET_NEXT, asked), NOON))
    for oid, (name, value) in zip(asked, rows, strict=True):
        assert name == (after(oid) or oid)
        assert (value == ber.END_OF_MIB_VIEW) == (after(oid) is None)
    _, _, rows = varbinds_of(agent.answer(question(GET_BULK, asked, non_repeaters, repetitions), NOON))
    wanted = [after(oid) or oid for oid in asked[:non_repeaters]]
    heads = asked[non_repeaters:]
    for _ in range(repetitions if heads else 0):
        moved = [after(oid) for oid in heads]
        heads = [new or old for new, old in zip(moved, heads, strict=True)]
        wanted += heads
        if not any(moved):
            break
    assert [name for name, _ in rows] == wanted


@given(trees, st.lists(oids, min_size=1, max_size=6))
def test_get_answers_each_name_or_says_why_not(tree, asked):
    agent = agent_of(tree)
    _, _, rows = varbinds_of(agent.answer(question(GET, asked), NOON))
    assert [name for name, _ in rows] == asked
    for oid, value in rows:
        assert (value not in (ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE)) == (oid in tree)
    status, index, _ = varbinds_of(agent.answer(question(GET, asked, version=0), NOON))
    missing = [i for i, oid in enumerate(asked) if oid not in tree]
    assert (status, index) == ((2, missing[0] + 1) if missing else (0, 0))


def test_set_is_refused_in_the_words_of_each_version():
    agent = agent_of({(1, 3, 6, 1)})
    assert varbinds_of(agent.answer(question(SET, [(1, 3, 6, 1)]), NOON))[:2] == (17, 1)
    assert varbinds_of(agent.answer(question(SET, [(1, 3, 6, 1)], version=0), NOON))[:2] == (2, 1)


def test_version_1_passes_over_counter64_and_the_others_show_it():
    layout = Layout({"1.3.1": ber.INTEGER, "1.3.2": ber.COUNTER64, "1.3.3": ber.INTEGER})
    agent = SnmpAgent(lambda _: {}, Layouts(), refresh=None)
    agent.show(layout, layout.encode({"1.3.1": 1, "1.3.2": 2, "1.3.3": 3}, Pool()))
    ask = [(1, 3, 1)]
    assert varbinds_of(agent.answer(question(GET_NEXT, ask, version=0), NOON))[2][0][0] == (1, 3, 3)
    assert varbinds_of(agent.answer(question(GET_NEXT, ask), NOON))[2][0][0] == (1, 3, 2)


def hostile_agent() -> SnmpAgent:
    rows = {f"1.3.6.1.2.1.{i}.0": i for i in range(1, 20)}
    return SnmpAgent(lambda _: rows, Layouts(), refresh=None, engine=Engine(b"\x80\x00\x1f\x88\x04sim", NOON))


def v3_discovery() -> bytes:
    head = ber.tlv(0x30, ber.integer(5) + ber.integer(65_507) + ber.octets(b"\x04") + ber.integer(3))
    security = ber.tlv(
        0x30,
        ber.octets(b"")
        + ber.integer(0)
        + ber.integer(0)
        + ber.octets(b"u")
        + ber.octets(b"")
        + ber.octets(b""),
    )
    pdu = ber.tlv(GET, ber.integer(1) + ber.integer(0) + ber.integer(0) + ber.tlv(0x30, b""))
    scoped = ber.tlv(0x30, ber.octets(b"") + ber.octets(b"") + pdu)
    return ber.tlv(0x30, ber.integer(3) + head + ber.octets(security) + scoped)


VALID = (
    question(GET, [(1, 3, 6, 1, 2, 1, 1, 0)]),
    question(GET_BULK, [(1, 3, 6, 1)], 0, 2**31 - 1),
    question(GET_NEXT, [(1, 3)] * 60, version=0),
    v3_discovery(),
)


@settings(max_examples=400)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.tuples(
            st.sampled_from(VALID), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8)
        ).map(lambda pair: damaged(*pair)),
    )
)
def test_hostile_datagrams_are_answered_refused_or_ignored_but_never_hurt(data: bytes):
    agent = hostile_agent()
    try:
        answer = agent.answer(data, NOON, USERS)
    except ber.BerError:
        return
    assert answer is None or answer[:1] == b"\x30"


def damaged(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    octets = bytearray(data)
    for at, value in changes:
        octets[at % len(octets)] = value
    return bytes(octets)


def test_a_bulk_of_two_thousand_million_rows_stays_within_a_frame():
    agent = hostile_agent()
    answer = agent.answer(question(GET_BULK, [(1, 3)] * 40, 0, 2**31 - 1), NOON)
    assert len(answer) <= 1500


def test_discovery_is_answered_with_a_report():
    answer = hostile_agent().answer(v3_discovery(), NOON, USERS)
    assert b"\xa8" in answer
    assert b"\x80\x00\x1f\x88\x04sim" in answer


def test_keys_are_those_of_rfc_3414_a3():
    engine = bytes.fromhex("000000000000000000000002")
    assert password_key("md5", "maplesyrup").hex() == "9faf3283884e92834ebc9847d8edd963"
    assert localized_key("md5", "maplesyrup", engine).hex() == "526f5eed9fcce26f8964c2930787d82b"
    assert password_key("sha1", "maplesyrup").hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    assert localized_key("sha1", "maplesyrup", engine).hex() == "6695febc9288e36282235fc7151f128497b38f3f"


@pytest.mark.parametrize("junk", [b"", b"\x02", b"\x02\x01", b"\x30\x00\x30\x80"])
def test_a_question_that_is_cut_is_refused(junk: bytes):
    with pytest.raises(ber.BerError):
        asked_oids(junk)
