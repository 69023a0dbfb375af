"""Passwords: argon2id with few hashes at a time.

A hash costs about 64 MiB and 100 ms by design, so an attacker who could ask for many would take the machine
down; `api.sign_in_guard` refuses first, and a semaphore bounds what remains (ASVS 5: 6.3.1, 6.3.8, 11.4.2).
"""

import threading
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from crm_core.domain.errors import InvalidValue

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 128
_CONCURRENT_HASHES = threading.BoundedSemaphore(2)
_HASHER: Final = PasswordHash((Argon2Hasher(),))
#: Verified when the account does not exist, so that both cases take the same time.
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$yHwf+GoYbeUKoI5fR7VYdw$Ii127ItG2QjQ3+BNjGCXwaGB9pnWWMp8otqI+fFlZ3E"
)


def hash_password(password: str) -> str:
    """Return the argon2id hash to store; refuse passwords shorter than 8 or longer than 128 characters."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidValue(f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")
    with _CONCURRENT_HASHES:
        return _HASHER.hash(password)


def verify_password(password: str, stored: str | None) -> bool:
    """Return True if the password fits the stored hash; None (no such account) costs the same time and is False."""
    if len(password) > MAX_LENGTH:
        return False
    with _CONCURRENT_HASHES:
        fits = _HASHER.verify(password, stored or _NOBODY)
    return fits and stored is not None
