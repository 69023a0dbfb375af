"""SNMP credentials at rest: encrypted with keys that can be rotated, named by what device records refer to.

The file holds one Fernet token (AES-128-CBC with HMAC-SHA-256) of all credentials; it is written beside and renamed, so a crash
leaves the old or the new one. Keys come from the environment or a key file of mode 0600; the first encrypts, all decrypt.
No secret ever stands in a log, an exception or a repr.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from collector.snmp.engine import AuthProtocol, Community, Credential, PrivProtocol, UsmUser
from crm_core.domain.errors import InvalidConfiguration, NotFound

_PRIVATE: Final = 0o600


class CredentialStore(Protocol):
    """Where credentials are kept by name."""

    def get(self, name: str) -> Credential:
        """Return the credential, or raise `NotFound`."""
        ...

    def put(self, name: str, credential: Credential) -> None: ...

    def remove(self, name: str) -> None: ...

    def all(self) -> Mapping[str, Credential]:
        """Return all credentials in the order in which they are tried."""
        ...


class _Stored(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """Common settings of what is written."""


class _StoredCommunity(_Stored, frozen=True, kw_only=True, tag="community"):
    name: str
    version: str


class _StoredUser(_Stored, frozen=True, kw_only=True, tag="usm"):
    name: str
    auth: AuthProtocol
    auth_password: str
    priv: PrivProtocol
    priv_password: str


_Entry = _StoredCommunity | _StoredUser


class EncryptedCredentials:
    """Credentials in one encrypted file. `keys` are Fernet keys, the newest first."""

    def __init__(self, path: Path, keys: Sequence[str | bytes]) -> None:
        if not keys:
            raise InvalidConfiguration("no key for the credential store: make one with `drumbeat` or set it")
        try:
            self._crypt = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise InvalidConfiguration(
                "a key of the credential store is no Fernet key (32 octets, base64)"
            ) from error
        self._path = path

    def all(self) -> Mapping[str, Credential]:
        """Return all credentials in the order in which they were added."""
        return {name: _credential(entry) for name, entry in self._load().items()}

    def get(self, name: str) -> Credential:
        """Return the credential of that name, or raise `NotFound`."""
        entry = self._load().get(name)
        if entry is None:
            raise NotFound(f"there is no credential {name!r}: add it first")
        return _credential(entry)

    def put(self, name: str, credential: Credential) -> None:
        """Add or replace a credential."""
        entries = self._load()
        entries[name] = _entry(credential)
        self._save(entries)

    def remove(self, name: str) -> None:
        """Remove a credential; an unknown name is no error."""
        entries = self._load()
        if entries.pop(name, None) is not None:
            self._save(entries)

    def rotate(self) -> None:
        """Encrypt everything anew with the first key, so that old keys can be taken away."""
        self._save(self._load())

    def _load(self) -> dict[str, _Entry]:
        try:
            token = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            return msgspec.json.decode(self._crypt.decrypt(token), type=dict[str, _Entry])
        except InvalidToken as error:
            raise InvalidConfiguration(f"{self._path.name} cannot be read with the given keys") from error
        except msgspec.DecodeError as error:
            raise InvalidConfiguration(f"{self._path.name} holds no credentials") from error

    def _save(self, entries: Mapping[str, _Entry]) -> None:
        token = self._crypt.encrypt(msgspec.json.encode(entries))
        beside = self._path.with_name(f"{self._path.name}.new")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with os.fdopen(handle, "wb") as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def key_from_file(path: Path) -> str:
    """Return the key in `path`; a missing file is made with a new key. A file that others may read is refused."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except FileExistsError:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InvalidConfiguration(f"{path} may be read by others: chmod 600 {path.name}") from None
        return path.read_text("ascii").strip()
    key = Fernet.generate_key().decode()
    with os.fdopen(handle, "w") as file:
        file.write(f"{key}\n")
    return key


def _entry(credential: Credential) -> _Entry:
    if isinstance(credential, Community):
        return _StoredCommunity(name=credential.name, version=credential.version)
    return _StoredUser(
        name=credential.name,
        auth=credential.auth,
        auth_password=credential.auth_password,
        priv=credential.priv,
        priv_password=credential.priv_password,
    )


def _credential(entry: _Entry) -> Credential:
    if isinstance(entry, _StoredCommunity):
        return Community(entry.name, "1" if entry.version == "1" else "2c")
    return UsmUser(entry.name, entry.auth, entry.auth_password, entry.priv, entry.priv_password)
