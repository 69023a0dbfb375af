"""The lock of personal fields: AES-256-GCM under keys from a file of mode 0600 or from the settings.

Each master key (32 octets) gives, by HKDF, one key for sealing, one for the marks of exact look-ups, and one for
signatures; its id is a hash of it. The ciphertext is bound to its place (tenant, subject, field), so a row that is
copied elsewhere cannot be opened. The newest key seals, all keys open.
"""

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crm_core.domain.errors import Conflict, InvalidConfiguration
from crm_core.domain.trust import Sealed

_OCTETS: Final = 32
_NONCE: Final = 12
_PRIVATE: Final = 0o600


class AesPersonalLock:
    """Seals and opens personal fields (`ports.PersonalLock`).

    `keys` are 32 octets in base64, the newest first, or the file that holds them; a file is read again when it
    changes, so that a running product takes part in a rotation.
    """

    def __init__(self, keys: Sequence[str] | Path) -> None:
        self._file = keys if isinstance(keys, Path) else None
        self._written: int | None = None
        self._known: dict[str, _Ring] = _rings_of(keys_of_file(keys) if isinstance(keys, Path) else keys)
        if self._file is not None:
            self._written = self._file.stat().st_mtime_ns

    @property
    def _rings(self) -> dict[str, "_Ring"]:
        if self._file is not None and self._file.stat().st_mtime_ns != self._written:
            written = self._file.stat().st_mtime_ns
            self._known, self._written = _rings_of(keys_of_file(self._file)), written
        return self._known

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._rings)

    def seal(self, plain: str, place: str) -> Sealed:
        newest = next(iter(self._rings.values()))
        nonce = os.urandom(_NONCE)
        box = nonce + newest.box.encrypt(nonce, plain.encode(), place.encode())
        return Sealed(newest.key_id, base64.b64encode(box).decode())

    def open(self, sealed: Sealed, place: str) -> str:
        ring = self._rings.get(sealed.key_id)
        if ring is None:
            raise InvalidConfiguration(
                f"personal data is sealed with key {sealed.key_id}, which is not among the keys of this installation"
            )
        try:
            box = base64.b64decode(sealed.text, validate=True)
            return ring.box.decrypt(box[:_NONCE], box[_NONCE:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Conflict(
                f"{place}: the sealed text was changed or moved; restore it from a backup"
            ) from error

    def marks(self, plain: str, what: str) -> tuple[str, ...]:
        return tuple(_mac(ring.marking, f"{what}\0{plain}") for ring in self._rings.values())

    def sign(self, message: str) -> str:
        newest = next(iter(self._rings.values()))
        return f"{newest.key_id}:{_mac(newest.signing, message)}"

    def is_signed(self, message: str, signature: str) -> bool:
        key_id, _, mac = signature.partition(":")
        ring = self._rings.get(key_id)
        return ring is not None and hmac.compare_digest(_mac(ring.signing, message), mac)


class _Ring:
    """What one master key gives."""

    def __init__(self, master: bytes) -> None:
        self.key_id = hashlib.sha256(b"drumbeat key id" + master).hexdigest()[:8]
        self.box = AESGCM(_derived(master, b"seal"))
        self.marking = _derived(master, b"mark")
        self.signing = _derived(master, b"sign")


def _rings_of(keys: Sequence[str]) -> dict[str, _Ring]:
    if not keys:
        raise InvalidConfiguration("no key for personal data: set crm.personal_keys or keep the key file")
    return {ring.key_id: ring for ring in (_Ring(_octets(key)) for key in keys)}


def new_key() -> str:
    """Return a new random key in base64."""
    return base64.b64encode(os.urandom(_OCTETS)).decode()


def keys_of_file(path: Path) -> list[str]:
    """Return the keys in `path`, newest first; a missing file is made with a new key. Others may not read it."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidConfiguration(f"{path} may be read by others: chmod 600 {path.name}") from None
        keys = path.read_text("ascii").split()
        if not keys:
            raise InvalidConfiguration(f"{path} is empty: restore it from a backup") from None
        return keys
    key = new_key()
    with os.fdopen(handle, "w") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    return [key]


def write_keys(path: Path, keys: Sequence[str]) -> None:
    """Write the keys, newest first, beside the file and put them in its place: a crash leaves the old or the new."""
    beside = path.with_name(f"{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(handle, "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _octets(key: str) -> bytes:
    try:
        octets = base64.b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if len(octets) != _OCTETS:
        raise InvalidConfiguration("a key for personal data must be 32 octets in base64")
    return octets


def _derived(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), _OCTETS, salt=None, info=b"drumbeat personal data " + purpose).derive(master)


def _mac(key: bytes, message: str) -> str:
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
