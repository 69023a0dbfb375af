"""Our BER against pyasn1 and pysnmp, and against everything that is not BER."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import univ
from pysnmp.proto import api, rfc1902
from pysnmp.proto.api import v2c

from collector.snmp import ber, pdu
from collector.snmp.ber import Malformed

arcs = st.integers(min_value=0, max_value=2**32 - 1)
oids = st.builds(
    lambda second, rest: ".".join(map(str, (1, second, *rest))),
    st.integers(min_value=0, max_value=39),
    st.lists(arcs, max_size=20),
)
values = st.one_of(
    st.integers(min_value=-(2**31), max_value=2**31 - 1).map(rfc1902.Integer32),
    st.integers(min_value=0, max_value=2**32 - 1).map(rfc1902.Counter32),
    st.integers(min_value=0, max_value=2**32 - 1).map(rfc1902.Gauge32),
    st.integers(min_value=0, max_value=2**32 - 1).map(rfc1902.TimeTicks),
    st.integers(min_value=0, max_value=2**64 - 1).map(rfc1902.Counter64),
    st.binary(max_size=300).map(rfc1902.OctetString),
    st.binary(max_size=40).map(rfc1902.Opaque),
    oids.map(rfc1902.ObjectIdentifier),
    st.tuples(*(st.integers(min_value=0, max_value=255),) * 4).map(lambda four: rfc1902.IpAddress(".".join(map(str, four)))),
)  # fmt: skip


def plain(value):
    if isinstance(value, rfc1902.IpAddress):
        return value.prettyPrint()
    if isinstance(value, univ.OctetString):
        return bytes(value)
    return str(value) if isinstance(value, univ.ObjectIdentifier) else int(value)


def response(version, community, request_id, varbinds, status=0, index=0) -> bytes:
    """Encode a response with pysnmp."""
    module = api.PROTOCOL_MODULES[version]
    body = v2c.GetResponsePDU() if version else api.PROTOCOL_MODULES[0].GetResponsePDU()
    module.apiPDU.set_defaults(body)
    module.apiPDU.set_request_id(body, request_id)
    module.apiPDU.set_error_status(body, status)
    module.apiPDU.set_error_index(body, index)
    module.apiPDU.set_varbinds(body, varbinds)
    message = module.Message()
    module.apiMessage.set_defaults(message)
    module.apiMessage.set_community(message, community)
    module.apiMessage.set_pdu(message, body)
    return encoder.encode(message)


@given(oid=oids)
def test_object_identifiers_are_encoded_as_pyasn1_does(oid):
    encoded = encoder.encode(univ.ObjectIdentifier(oid))
    assert ber.encode_oid(oid) == encoded
    start, stop = ber.expect(encoded, 0, len(encoded), ber.OBJECT_IDENTIFIER)
    assert ber.decode_oid(encoded[start:stop]) == oid


@given(number=st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_integers_are_encoded_as_pyasn1_does(number):
    encoded = encoder.encode(univ.Integer(number))
    assert ber.encode_integer(number) == encoded
    assert ber.read_integer(encoded, 0, len(encoded)) == (number, len(encoded))


@given(
    asked=st.lists(oids, min_size=1, max_size=45),
    number=st.integers(min_value=pdu.MIN_ID, max_value=pdu.MAX_ID),
)
@settings(max_examples=40)
def test_our_requests_are_what_pysnmp_would_send(asked, number):
    before, after = pdu.community_template(1, b"public", pdu.GET, tuple(asked))
    ours = before + number.to_bytes(4, "big") + after
    body = v2c.GetRequestPDU()
    v2c.apiPDU.set_defaults(body)
    v2c.apiPDU.set_request_id(body, number)
    v2c.apiPDU.set_varbinds(body, [(rfc1902.ObjectName(oid), v2c.null) for oid in asked])
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, "public")
    v2c.apiMessage.set_pdu(message, body)
    assert ours == encoder.encode(message)


@given(
    rows=st.lists(st.tuples(oids, values), min_size=1, max_size=12),
    number=st.integers(min_value=1, max_value=2**31 - 1),
)
@settings(max_examples=80)
def test_replies_are_read_as_pysnmp_wrote_them(rows, number):
    data = response(1, "public", number, [(rfc1902.ObjectName(oid), value) for oid, value in rows])
    assert pdu.peek(data) == (1, number)
    at, end = pdu.community_pdu(data, 1, b"public")
    kind, request_id, status, index, start, stop = pdu.pdu_head(data, at, end)
    assert (kind, request_id, status, index) == (pdu.RESPONSE, number, 0, 0)
    wanted = [plain(value) for _, value in rows]
    assert pdu.read_varbinds(data, start, stop) == [
        (oid, want) for (oid, _), want in zip(rows, wanted, strict=True)
    ]
    assert pdu.read_exact(data, start, stop, pdu.encoded_oids(tuple(oid for oid, _ in rows))) == wanted


@given(data=st.binary(max_size=200))
def test_noise_is_malformed_or_nothing(data):
    for read in (
        lambda: pdu.peek(data),
        lambda: pdu.community_pdu(data, 1, b"public"),
        lambda: pdu.read_varbinds(data, 0, len(data)),
        lambda: ber.decode_oid(data),
    ):
        with contextlib.suppress(Malformed):
            read()
    assert pdu.read_exact(data, 0, len(data), (ber.encode_oid("1.3.6.1"),)) is None or data


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_reply_cut_anywhere_is_malformed(cut):
    data = response(
        1, "public", 0x01020304, [(rfc1902.ObjectName("1.3.6.1.2.1.1.1.0"), rfc1902.OctetString(b"x" * 20))]
    )
    if cut < len(data):
        with pytest.raises(Malformed):
            pdu.community_pdu(data[:cut], 1, b"public")


@pytest.mark.parametrize(
    "body",
    [
        bytes((0x30, 0x80, 0, 0)),  # indefinite length
        bytes((0x30, 0x84, 0, 0, 0, 1, 0)),  # length of four octets
        bytes((0x30, 0x85, 1, 0, 0, 0, 0, 0)),
        bytes((0x1F, 0x81, 0x00, 0)),  # long tag
        bytes((0x30, 0x7F)),
        b"",
    ],
)
def test_odd_lengths_and_tags_are_refused(body):
    with pytest.raises(Malformed):
        ber.header(body, 0, len(body))


@pytest.mark.parametrize(
    "body", [b"", b"\x80\x01", b"\x2b\x86", b"\x2b\x90\x80\x80\x80\x80\x00", b"\x2b" + b"\x01" * 200]
)
def test_odd_object_identifiers_are_refused(body):
    with pytest.raises(Malformed):
        ber.decode_oid(body)


def test_deep_nesting_costs_nothing():
    data = b"\x05\x00"
    for _ in range(3000):
        data = ber.tlv(ber.SEQUENCE, data) if len(data) < 60_000 else data
    with pytest.raises(Malformed):
        pdu.read_varbinds(data, 0, len(data))


def test_a_counter_without_its_leading_zero_is_not_negative():
    assert ber.read_value(b"\xff\xff\xff\xff", ber.COUNTER32, 0, 4) == 2**32 - 1
    assert ber.read_value(b"\xff\xff\xff\xfd", ber.INTEGER, 0, 4) == -3


@pytest.mark.parametrize("oid", ["", "1", "3.1.1", "1.40.1", "1.3.-1", "1.3.x"])
def test_what_is_no_object_identifier_is_not_encoded(oid):
    with pytest.raises(ValueError):
        ber.encode_oid(oid)


def test_the_decoder_of_pyasn1_reads_our_bulk_request():
    before, after = pdu.community_template(1, b"public", pdu.GET_BULK, ("1.3.6.1.2.1.43",), 0, 20)
    message, rest = decoder.decode(before + (0x01020304).to_bytes(4, "big") + after, asn1Spec=v2c.Message())
    body = v2c.apiMessage.get_pdu(message)
    assert rest == b""
    assert v2c.apiBulkPDU.get_max_repetitions(body) == 20
