"""SNMPv3 user-based security (RFC 3414, RFC 3826, RFC 7860): keys, and messages around scoped PDUs.

The password is stretched to a key once per password and process (1 MiB of hashing); localising that key for a device costs
two short hashes. Keys of AES-192 and AES-256 are extended after Blumenthal where the hash is shorter than the key.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from collector.snmp import ber
from collector.snmp.ber import Malformed
from collector.snmp.engine import UsmUser

HASH_NAMES: Final = {
    "md5": "md5", "sha1": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
}  # fmt: skip
DIGEST_OCTETS: Final = {"md5": 12, "sha1": 12, "sha224": 16, "sha256": 24, "sha384": 32, "sha512": 48}
KEY_OCTETS: Final = {"des": 16, "aes128": 16, "aes192": 24, "aes256": 32}
_STRETCHED: Final = 1_048_576
_TIME_WINDOW_SECONDS: Final = 150

AUTH: Final = 1
PRIV: Final = 2
REPORTABLE: Final = 4

UNKNOWN_ENGINE_IDS: Final = "1.3.6.1.6.3.15.1.1.4.0"
NOT_IN_TIME_WINDOWS: Final = "1.3.6.1.6.3.15.1.1.2.0"
REPORTS: Final = {
    "1.3.6.1.6.3.15.1.1.1.0": "the device does not offer this security level",
    "1.3.6.1.6.3.15.1.1.3.0": "the device does not know the user",
    "1.3.6.1.6.3.15.1.1.5.0": "the authentication password or protocol is wrong",
    "1.3.6.1.6.3.15.1.1.6.0": "the privacy password or protocol is wrong",
}


@lru_cache(maxsize=256)
def stretched_key(protocol: str, password: str) -> bytes:
    """Return the user's key Ku: the hash of the password repeated to one MiB. Once per password and process."""
    octets = password.encode()
    repeats = _STRETCHED // len(octets) + 1
    return hashlib.new(HASH_NAMES[protocol], (octets * repeats)[:_STRETCHED], usedforsecurity=False).digest()


def localised_key(protocol: str, password: str, engine_id: bytes) -> bytes:
    """Return the key Kul of a user at one device."""
    key = stretched_key(protocol, password)
    return hashlib.new(HASH_NAMES[protocol], key + engine_id + key, usedforsecurity=False).digest()


def _privacy_key(user: UsmUser, engine_id: bytes) -> bytes:
    key = localised_key(user.auth, user.priv_password, engine_id)
    while len(key) < KEY_OCTETS[user.priv]:
        key += hashlib.new(HASH_NAMES[user.auth], key, usedforsecurity=False).digest()
    return key[: KEY_OCTETS[user.priv]]


@dataclass(slots=True)
class Security:
    """What is known of one device's engine for one user: identity, clock and localised keys."""

    user: UsmUser
    engine_id: bytes = b""
    boots: int = 0
    time_offset: float = 0.0  # the device's engine time minus our monotonic clock
    auth_key: bytes = b""
    priv_key: bytes = b""
    salt: int = 0

    @property
    def flags(self) -> int:
        """The security level of this user."""
        return (AUTH if self.user.auth != "none" else 0) | (PRIV if self.user.priv != "none" else 0)

    @property
    def engine_time(self) -> int:
        return max(0, int(monotonic() + self.time_offset))

    def learn(self, engine_id: bytes, boots: int, time: int) -> None:
        """Take the device's identity and clock; keys are localised when the identity is new."""
        if engine_id != self.engine_id:
            self.engine_id = engine_id
            self.auth_key = self.priv_key = b""
            if self.user.auth != "none":
                self.auth_key = localised_key(self.user.auth, self.user.auth_password, engine_id)
            if self.user.priv != "none":
                self.priv_key = _privacy_key(self.user, engine_id)
            self.salt = int.from_bytes(os.urandom(8), "big")
        self.boots = boots
        self.time_offset = time - monotonic()

    def encode(self, message_id: int, scoped_pdu: bytes) -> bytes:
        """Return a whole message with the user's level; before the engine is known, a plain discovery."""
        if not self.engine_id:
            return _message(message_id, REPORTABLE, b"", 0, 0, b"", b"", b"", scoped_pdu)
        flags, boots, time = self.flags | REPORTABLE, self.boots, self.engine_time
        salt, data = b"", scoped_pdu
        if flags & PRIV:
            self.salt = (self.salt + 1) & 0xFFFF_FFFF_FFFF_FFFF
            salt = self._salt()
            data = ber.tlv(ber.OCTET_STRING, self._crypt(scoped_pdu, boots, time, salt, encrypt=True))
        name = self.user.name.encode()
        if not flags & AUTH:
            return _message(message_id, flags, self.engine_id, boots, time, name, b"", salt, data)
        size = DIGEST_OCTETS[self.user.auth]
        blank = _message(message_id, flags, self.engine_id, boots, time, name, bytes(size), salt, data)
        digest = hmac.digest(self.auth_key, blank, self.user.auth)[:size]
        at = _digest_position(blank, size, len(salt), len(data))
        return blank[:at] + digest + blank[at + size :]

    def _salt(self) -> bytes:
        if self.user.priv == "des":
            return self.boots.to_bytes(4, "big") + (self.salt & 0xFFFF_FFFF).to_bytes(4, "big")
        return self.salt.to_bytes(8, "big")

    def _crypt(self, text: bytes, boots: int, time: int, salt: bytes, *, encrypt: bool) -> bytes:
        if self.user.priv == "des":
            vector = bytes(a ^ b for a, b in zip(self.priv_key[8:16], salt, strict=True))
            cipher: Cipher[CBC] | Cipher[CFB] = Cipher(TripleDES(self.priv_key[:8] * 3), CBC(vector))
            text = text + bytes(-len(text) % 8) if encrypt else text
        else:
            vector = boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt
            cipher = Cipher(AES(self.priv_key), CFB(vector))
        worker = cipher.encryptor() if encrypt else cipher.decryptor()
        return worker.update(text) + worker.finalize()

    def open(self, data: bytes) -> "Opened":
        """Return the scoped PDU of a reply and whether it was authentic; raise `Malformed` for anything doubtful."""
        head = read_message(data)
        authentic = False
        if head.flags & AUTH:
            self._verify(data, head)
            authentic = True
        if not head.flags & PRIV:
            return Opened(
                head, *ber.expect(data, head.data_start, head.data_stop, ber.SEQUENCE), data, authentic
            )
        if not self.priv_key or not authentic or len(head.salt) != 8:
            raise Malformed("an encrypted reply without a key for it")
        start, stop = ber.expect(data, head.data_start, head.data_stop, ber.OCTET_STRING)
        if self.user.priv == "des" and (stop - start) % 8:
            raise Malformed("a DES text has whole blocks")
        plain = self._crypt(data[start:stop], head.boots, head.time, head.salt, encrypt=False)
        return Opened(head, *ber.expect(plain, 0, len(plain), ber.SEQUENCE), plain, authentic)

    def _verify(self, data: bytes, head: "MessageHead") -> None:
        size = DIGEST_OCTETS.get(self.user.auth, 0)
        if (
            not self.auth_key
            or head.digest_stop - head.digest_start != size
            or head.user != self.user.name.encode()
        ):
            raise Malformed("a reply that claims an authentication which was not agreed")
        blank = data[: head.digest_start] + bytes(size) + data[head.digest_stop :]
        wanted = hmac.digest(self.auth_key, blank, self.user.auth)[:size]
        if not hmac.compare_digest(wanted, data[head.digest_start : head.digest_stop]):
            raise Malformed("the digest is wrong")

    def is_timely(self, head: "MessageHead") -> bool:
        """Tell whether an authentic reply is of now (RFC 3414 section 3.2, 7b): same boots, within the time window."""
        return head.boots == self.boots and abs(head.time - self.engine_time) <= _TIME_WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class MessageHead:
    """The outer fields of a v3 message and where its parts stand."""

    message_id: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest_start: int
    digest_stop: int
    salt: bytes
    data_start: int
    data_stop: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A reply after checking and decrypting: its scoped PDU stands in `plain` from `start` to `stop`."""

    head: MessageHead
    start: int
    stop: int
    plain: bytes
    authentic: bool

    def pdu(self) -> tuple[int, int]:
        """Return (start, stop) of the PDU inside the scoped PDU."""
        _, at = ber.expect(self.plain, self.start, self.stop, ber.OCTET_STRING)
        _, at = ber.expect(self.plain, at, self.stop, ber.OCTET_STRING)
        _, _, stop = ber.header(self.plain, at, self.stop)
        return at, stop


def scoped(engine_id: bytes, context: bytes, pdu: bytes) -> bytes:
    """Return a scoped PDU."""
    return ber.tlv(
        ber.SEQUENCE, ber.tlv(ber.OCTET_STRING, engine_id) + ber.tlv(ber.OCTET_STRING, context) + pdu
    )


def _message(
    message_id: int,
    flags: int,
    engine_id: bytes,
    boots: int,
    time: int,
    name: bytes,
    digest: bytes,
    salt: bytes,
    data: bytes,
) -> bytes:
    security = ber.tlv(
        ber.SEQUENCE,
        ber.tlv(ber.OCTET_STRING, engine_id)
        + ber.encode_integer(boots)
        + ber.encode_integer(time)
        + ber.tlv(ber.OCTET_STRING, name)
        + ber.tlv(ber.OCTET_STRING, digest)
        + ber.tlv(ber.OCTET_STRING, salt),
    )
    head = ber.tlv(
        ber.SEQUENCE,
        ber.encode_integer(message_id)
        + b"\x02\x03\x00\xff\xe3"  # we take replies of 65,507 octets
        + bytes((ber.OCTET_STRING, 1, flags))
        + b"\x02\x01\x03",  # user-based security
    )
    return ber.tlv(ber.SEQUENCE, b"\x02\x01\x03" + head + ber.tlv(ber.OCTET_STRING, security) + data)


def _digest_position(message: bytes, digest_octets: int, salt_octets: int, data_octets: int) -> int:
    """Return where the digest stands: everything behind it has a known size."""
    return len(message) - data_octets - (salt_octets + 2) - digest_octets


def read_message(data: bytes) -> MessageHead:
    """Return the outer fields of a v3 message."""
    at, end = ber.expect(data, 0, len(data), ber.SEQUENCE)
    if end != len(data):
        raise Malformed("octets follow the message")
    _, at = ber.read_integer(data, at, end)
    start, at = ber.expect(data, at, end, ber.SEQUENCE)
    message_id, start = ber.read_integer(data, start, at)
    _, start = ber.read_integer(data, start, at)
    flags_start, start = ber.expect(data, start, at, ber.OCTET_STRING)
    model, _ = ber.read_integer(data, start, at)
    if start - flags_start != 1 or model != 3:
        raise Malformed("the message has no user-based security")
    security, data_start = ber.expect(data, at, end, ber.OCTET_STRING)
    at, stop = ber.expect(data, security, data_start, ber.SEQUENCE)
    engine, at = ber.expect(data, at, stop, ber.OCTET_STRING)
    engine_id = data[engine:at]
    boots, at = ber.read_integer(data, at, stop)
    time, at = ber.read_integer(data, at, stop)
    name, at = ber.expect(data, at, stop, ber.OCTET_STRING)
    user = data[name:at]
    digest_start, at = ber.expect(data, at, stop, ber.OCTET_STRING)
    salt_start, salt_stop = ber.expect(data, at, stop, ber.OCTET_STRING)
    if not (0 <= boots < 2**31 and 0 <= time < 2**31) or len(engine_id) > 32:
        raise Malformed("the security parameters are out of range")
    return MessageHead(
        message_id, data[flags_start], engine_id, boots, time, user, digest_start, at,
        data[salt_start:salt_stop], data_start, end,
    )  # fmt: skip
