"""Passwords: argon2id with few hashes at a time, and a throttle that stands before the hashing.

A hash costs about 64 MiB and 100 ms by design, so an attacker who could ask for many would take the machine
down; the throttle refuses first, and a semaphore bounds what remains (ASVS 5: 6.3.1, 6.3.8, 11.4.2).
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta
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


class Throttle:
    """At most `attempts` failures per key within `window`; a success forgets the key's failures.

    Memory is bounded: beyond `max_keys` the key that failed longest ago is forgotten. `monotonic` gives seconds.
    """

    def __init__(
        self,
        attempts: int,
        window: timedelta,
        *,
        max_keys: int = 10_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._window_seconds = window.total_seconds()
        self._max_keys = max_keys
        self._monotonic = monotonic
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def attempt(self, key: str) -> float:
        """Count an attempt that may fail and return 0, or return the seconds to wait when there were too many.

        Counted beforehand, so that many attempts at once cannot slip past the limit while the first is hashed.
        """
        now = self._monotonic()
        with self._lock:
            wait = self._wait_of(key, now)
            if wait > 0:
                return wait
            self._failures.setdefault(key, deque(maxlen=self._attempts)).append(now)
            self._failures.move_to_end(key)
            while len(self._failures) > self._max_keys:
                self._failures.popitem(last=False)
            return 0.0

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        with self._lock:
            self._failures.pop(key, None)

    def _wait_of(self, key: str, now: float) -> float:
        """Return the waiting time of one key; called with the lock held."""
        failures = self._failures.get(key)
        if failures is None or len(failures) < self._attempts:
            return 0.0
        return max(0.0, failures[0] + self._window_seconds - now)


class SignInGuard:
    """Guards the sign-in: `attempts` failures per account, five times as many per address (offices share one)."""

    def __init__(self, attempts: int, window: timedelta) -> None:
        self._accounts = Throttle(attempts, window)
        self._addresses = Throttle(5 * attempts, window)

    def wait_seconds(self, name: str, address: str) -> float:
        """Count an attempt and return 0, or how long to wait before the next one."""
        return self._accounts.attempt(name.casefold()) or self._addresses.attempt(address)

    def succeeded(self, name: str, address: str) -> None:
        """Forget what was counted: the person has shown to be the right one."""
        self._accounts.succeeded(name.casefold())
        self._addresses.succeeded(address)
