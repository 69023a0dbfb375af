"""The user-based security model of SNMPv3 (RFC 3414, RFC 3826, RFC 7860) on the agent's side.

Written from the RFCs with `hashlib` and `cryptography`, apart from the collector's engines. Supports noAuthNoPriv,
authNoPriv and authPriv with MD5, SHA-1 and SHA-256, DES-CBC and AES-128-CFB.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from simulators import ber
from simulators.snmp_view import REPORT

AUTH: Final[Mapping[str, tuple[str, int]]] = {
    "MD5": ("md5", 12),
    "SHA": ("sha1", 12),
    "SHA256": ("sha256", 24),
}
PRIV: Final = ("DES", "AES")
USM_STATS: Final = "1.3.6.1.6.3.15.1.1"
UNSUPPORTED_LEVEL, NOT_IN_TIME, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, DECRYPTION_ERROR = (
    1,
    2,
    3,
    4,
    5,
    6,
)
TIME_WINDOW_SECONDS: Final = 150
_PASSWORD_SPAN: Final = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class UsmUser:
    """A user and its secrets; `auth` MD5, SHA or SHA256 or None, `priv` DES or AES or None."""

    name: str
    auth: str | None = None
    auth_password: str = ""
    priv: str | None = None
    priv_password: str = ""


UsmUsers = Mapping[bytes, UsmUser]


def users_by_name(*users: UsmUser) -> dict[bytes, UsmUser]:
    """Return users keyed as they stand in messages."""
    return {user.name.encode(): user for user in users}


@lru_cache(maxsize=256)
def password_key(hash_name: str, password: str) -> bytes:
    """Return the key of a password: the hash of 1 MiB of its repetition (RFC 3414, A.2)."""
    octets = password.encode()
    whole = octets * (_PASSWORD_SPAN // len(octets) + 1)
    return hashlib.new(hash_name, whole[:_PASSWORD_SPAN]).digest()


@lru_cache(maxsize=65_536)
def localized_key(hash_name: str, password: str, engine_id: bytes) -> bytes:
    """Return the key of a password at one engine (RFC 3414, 2.6)."""
    key = password_key(hash_name, password)
    return hashlib.new(hash_name, key + engine_id + key).digest()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that passed security: its PDU in the clear."""

    message_id: int
    max_size: int
    flags: int
    context_engine: bytes
    context: bytes
    pdu: bytes
    user: UsmUser | None


@dataclass(slots=True)
class _Header:
    message_id: int
    max_size: int
    flags: int
    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    data_at: int


class Engine:
    """An authoritative SNMP engine: its id, boots and clock, and the security of its messages."""

    __slots__ = ("boots", "contexts", "counts", "engine_id", "started")

    def __init__(
        self,
        engine_id: bytes,
        started: datetime,
        *,
        boots: int = 1,
        contexts: frozenset[bytes] = frozenset([b""]),
    ) -> None:
        self.engine_id = engine_id
        self.started = started
        self.boots = boots
        self.contexts = contexts
        self.counts: dict[int, int] = {}

    def reboot(self, now: datetime) -> None:
        """Start anew: one boot more, time from zero."""
        self.boots += 1
        self.started = now

    def time(self, now: datetime) -> int:
        """Return seconds since the engine started."""
        return max(int((now - self.started).total_seconds()), 0)

    def process(
        self, data: bytes, users: UsmUsers, now: datetime, answer: Callable[[Incoming], bytes | None]
    ) -> bytes | None:
        """Return the secured answer of `answer` to a version 3 datagram, a report, or None. Raises `BerError`."""
        header = _read_header(data)
        user = users.get(header.user)
        problem = self._check(data, header, user, now)
        scoped = None if problem or user is None else self._scoped(data, header, user)
        if scoped is None or user is None:
            signed = user if problem == NOT_IN_TIME else None
            return self._report(header, problem or DECRYPTION_ERROR, now, signed)
        message = _read_scoped(header, scoped, user)
        pdu = answer(message) if message.context in self.contexts else None
        if pdu is None:
            return None
        body = ber.octets(self.engine_id) + ber.octets(message.context) + pdu
        return self._seal(header, ber.tlv(ber.SEQUENCE, body), user, header.flags & 3, now)

    def notification(self, pdu: bytes, user: UsmUser, now: datetime, message_id: int) -> bytes:
        """Return a message of this engine's own (a trap: the sender is authoritative) at the user's highest level."""
        header = _Header(message_id, 65_507, 0, self.engine_id, 0, 0, user.name.encode(), b"", 0, b"", 0)
        scoped = ber.tlv(ber.SEQUENCE, ber.octets(self.engine_id) + ber.octets(b"") + pdu)
        level = (1 if user.auth else 0) | (2 if user.auth and user.priv else 0)
        return self._seal(header, scoped, user, level, now)

    def _check(self, data: bytes, header: _Header, user: UsmUser | None, now: datetime) -> int:
        """Return the usmStats number of what is wrong with a message's security, 0 if nothing (RFC 3414, 3.2)."""
        if header.engine_id != self.engine_id:
            return UNKNOWN_ENGINE
        if user is None:
            return UNKNOWN_USER
        able = (1 if user.auth else 0) | (2 if user.priv else 0)
        if header.flags & 3 & ~able or header.flags & 3 == 2:
            return UNSUPPORTED_LEVEL
        return self._check_signature(data, header, user, now) if header.flags & 1 else 0

    def _check_signature(self, data: bytes, header: _Header, user: UsmUser, now: datetime) -> int:
        name, size = AUTH[user.auth or "MD5"]
        after = header.digest_at + len(header.digest)
        blank = data[: header.digest_at] + bytes(len(header.digest)) + data[after:]
        key = localized_key(name, user.auth_password, self.engine_id)
        if not hmac.compare_digest(hmac.new(key, blank, name).digest()[:size], header.digest):
            return WRONG_DIGEST
        late = abs(header.time - self.time(now)) > TIME_WINDOW_SECONDS
        return NOT_IN_TIME if header.boots != self.boots or late else 0

    def _scoped(self, data: bytes, header: _Header, user: UsmUser) -> bytes | None:
        """Return the scoped PDU in the clear; None where it cannot be decrypted."""
        if not header.flags & 2:
            return data[header.data_at :]
        sealed, _ = ber.read_octets(data, header.data_at)
        if len(header.salt) != 8 or (user.priv == "DES" and len(sealed) % 8):
            return None
        clear = _crypt(user, self.engine_id, header.boots, header.time, header.salt, sealed, decrypt=True)
        return clear if clear[:1] == b"\x30" else None

    def _report(self, header: _Header, which: int, now: datetime, user: UsmUser | None) -> bytes | None:
        """Return a report that states a usmStats counter, if the sender can take reports."""
        if not header.flags & 4:
            return None
        self.counts[which] = self.counts.get(which, 0) + 1
        varbind = ber.oid(f"{USM_STATS}.{which}.0") + ber.integer(self.counts[which], ber.COUNTER32)
        listed = ber.tlv(ber.SEQUENCE, ber.tlv(ber.SEQUENCE, varbind))
        pdu = ber.tlv(REPORT, ber.integer(0) + ber.integer(0) + ber.integer(0) + listed)
        scoped = ber.tlv(ber.SEQUENCE, ber.octets(self.engine_id) + ber.octets(b"") + pdu)
        return self._seal(header, scoped, user, 1 if user is not None and user.auth else 0, now)

    def _seal(self, header: _Header, scoped: bytes, user: UsmUser | None, level: int, now: datetime) -> bytes:
        """Return the whole message around a scoped PDU at a security level (1 auth, 3 auth and privacy)."""
        boots, seconds = self.boots, self.time(now)
        salt = b""
        data = scoped
        if level & 2 and user is not None:
            salt = hashlib.sha256(scoped + header.message_id.to_bytes(5, "big")).digest()[:8]
            if user.priv == "DES":
                salt = boots.to_bytes(4, "big") + salt[:4]
            data = ber.octets(_crypt(user, self.engine_id, boots, seconds, salt, scoped, decrypt=False))
        name, size = AUTH[user.auth] if level & 1 and user is not None and user.auth else ("", 0)
        security = ber.tlv(
            ber.SEQUENCE,
            ber.octets(self.engine_id)
            + ber.integer(boots)
            + ber.integer(seconds)
            + ber.octets(header.user if user is not None or not level else b"")
            + ber.octets(b"\0" * size)
            + ber.octets(salt),
        )
        head = ber.tlv(
            ber.SEQUENCE,
            ber.integer(header.message_id)
            + ber.integer(65_507)
            + ber.octets(bytes([level]))
            + ber.integer(3),
        )
        whole = ber.tlv(ber.SEQUENCE, ber.integer(3) + head + ber.octets(security) + data)
        if not size or user is None:
            return whole
        key = localized_key(name, user.auth_password, self.engine_id)
        digest = hmac.new(key, whole, name).digest()[:size]
        at = len(whole) - len(data) - len(ber.octets(salt)) - size
        return whole[:at] + digest + whole[at + size :]


def _crypt(
    user: UsmUser, engine_id: bytes, boots: int, seconds: int, salt: bytes, data: bytes, *, decrypt: bool
) -> bytes:
    """Return data after DES-CBC (RFC 3414, 8.1.1) or AES-128-CFB (RFC 3826, 3.1.2)."""
    name, _ = AUTH[user.auth or "MD5"]
    key = localized_key(name, user.priv_password, engine_id)[:16]
    if user.priv == "AES":
        iv = boots.to_bytes(4, "big") + seconds.to_bytes(4, "big") + salt
        cipher: Cipher[CFB] | Cipher[modes.CBC] = Cipher(algorithms.AES(key), CFB(iv))
    else:
        iv = bytes(a ^ b for a, b in zip(key[8:], salt, strict=True))
        cipher = Cipher(TripleDES(key[:8] * 3), modes.CBC(iv))
        if not decrypt:
            data += b"\0" * (-len(data) % 8)
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()


def _read_header(data: bytes) -> _Header:
    start, _ = ber.expect(data, 0, ber.SEQUENCE)
    _, at = ber.read_integer(data, start)
    head, head_end = ber.expect(data, at, ber.SEQUENCE)
    message_id, at = ber.read_integer(data, head)
    max_size, at = ber.read_integer(data, at)
    flags, at = ber.read_octets(data, at)
    model, _ = ber.read_integer(data, at)
    if model != 3 or len(flags) != 1 or not 0 <= message_id < 2**31:
        raise ber.BerError("not the user-based security model")
    security, data_at = ber.expect(data, head_end, ber.OCTETS)
    inner, _ = ber.expect(data, security, ber.SEQUENCE)
    engine_id, at = ber.read_octets(data, inner)
    boots, at = ber.read_integer(data, at)
    seconds, at = ber.read_integer(data, at)
    user, at = ber.read_octets(data, at)
    digest_at, digest_end = ber.expect(data, at, ber.OCTETS)
    salt, _ = ber.read_octets(data, digest_end)
    if not (0 <= boots < 2**31 and 0 <= seconds < 2**31):
        raise ber.BerError("boots or time out of range")
    digest = data[digest_at:digest_end]
    return _Header(
        message_id, max_size, flags[0], engine_id, boots, seconds, user, digest, digest_at, salt, data_at
    )


def _read_scoped(header: _Header, scoped: bytes, user: UsmUser) -> Incoming:
    start, end = ber.expect(scoped, 0, ber.SEQUENCE)
    context_engine, at = ber.read_octets(scoped, start)
    context, at = ber.read_octets(scoped, at)
    return Incoming(
        header.message_id, header.max_size, header.flags, context_engine, context, scoped[at:end], user
    )
