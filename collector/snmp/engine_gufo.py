"""gufo-snmp behind the SNMP port: a Rust core, one connected socket a device (the kernel drops other sources).

Selectable by `snmp.engine = gufo`. Its public API returns a mapping, so number and order of the OIDs of a reply cannot be
seen: an OID that was not asked for is dropped and counted, a missing one counts as absent. Timeouts are set by session, so a
session is kept per device and timeout step. See docs/decisions for why it is not the default.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from gufo.snmp import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    DesKey,
    Md5Key,
    NoSuchInstance,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    SnmpAuthError,
    SnmpDecodeError,
    SnmpError,
    SnmpVersion,
    User,
)
from gufo.snmp.aio import SnmpSession
from gufo.snmp.user import KeyType

from collector.snmp.engine import (
    MAX_ROWS,
    Allowance,
    AuthenticationFailed,
    Community,
    EngineStatistics,
    RequestRefused,
    RequestTimedOut,
    SnmpTarget,
    UsmUser,
    Value,
    acceptable,
    is_below,
)
from collector.snmp.oids import index_key
from collector.snmp.usm import stretched_key
from crm_core.domain.errors import DeviceMisbehaved, InvalidConfiguration

_AUTH: Final = {
    "md5": Md5Key, "sha1": Sha1Key, "sha224": Sha224Key, "sha256": Sha256Key, "sha384": Sha384Key, "sha512": Sha512Key,
}  # fmt: skip
_PRIV: Final = {"des": DesKey, "aes128": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
_MAX_SESSIONS: Final = 4096
T = TypeVar("T")


class GufoEngine:
    """SNMP by gufo-snmp. SNMPv3 contexts other than the default one are not offered by gufo: they are refused."""

    def __init__(self, *, window: int = 256) -> None:
        self.statistics = EngineStatistics()
        self._slots = asyncio.Semaphore(window)
        self._sessions: OrderedDict[SnmpTarget, SnmpSession] = OrderedDict()
        self._turns: WeakValueDictionary[SnmpTarget, asyncio.Lock] = WeakValueDictionary()

    async def get(self, target: SnmpTarget, wanted: Sequence[str], allowance: Allowance) -> dict[str, Value]:
        """Return the values of exact OIDs in one request (see `SnmpEngine.get`)."""
        found = await self._get_many(target, tuple(wanted), allowance)
        kept: dict[str, Value] = {}
        for oid, value in found.items():
            if oid not in wanted:
                self.statistics.reject("oid")
            elif value is not None and self._is_fair(value):
                kept[oid] = _plain(value)
        return kept

    async def _get_many(
        self, target: SnmpTarget, asked: tuple[str, ...], allowance: Allowance
    ) -> dict[str, object]:
        """Ask for all at once; in v1 one unknown name spoils the reply and gufo hides which: find it by halving."""
        if not asked:
            return {}
        v1 = isinstance(target.credential, Community) and target.credential.version == "1"
        found: dict[str, object] = {}
        with contextlib.suppress(NoSuchInstance):
            found = dict(await self._repeated(target, allowance, lambda session: session.get_many(asked)))
        if found or not v1 or len(asked) == 1:
            return found
        middle = len(asked) // 2
        first = await self._get_many(target, asked[:middle], allowance)
        return {**first, **await self._get_many(target, asked[middle:], allowance)}

    async def walk_into(
        self,
        found: dict[str, Value],
        target: SnmpTarget,
        columns: Sequence[str],
        allowance: Allowance,
        *,
        max_rows: int = MAX_ROWS,
        per_reply: int = 45,
    ) -> None:
        """Put everything below the columns into `found` (see `SnmpEngine.walk_into`)."""
        left = max_rows
        for column in columns:
            left -= await self._walk_column(found, target, column, allowance, left, min(per_reply, 20))
            if left <= 0:
                return

    async def _walk_column(
        self,
        found: dict[str, Value],
        target: SnmpTarget,
        column: str,
        allowance: Allowance,
        most: int,
        repetitions: int,
    ) -> int:
        """Walk one column with own limits: gufo's iterators have none on rows and none on time."""
        last, rows = column, 0
        bulk = not (isinstance(target.credential, Community) and target.credential.version == "1")
        iterator: AsyncIterator[tuple[str, object]] | None = None
        while rows < most:
            if iterator is None or rows % repetitions == 0 or not bulk:
                seconds = allowance.take()
            if iterator is None:
                session = await self._session(target, allowance)
                iterator = session.getbulk(column, repetitions) if bulk else session.getnext(column)
            try:
                oid, value = await asyncio.wait_for(anext(iterator), seconds)
            except StopAsyncIteration:
                return rows
            except (TimeoutError, SnmpDecodeError) as error:
                raise self._timed_out(target, error) from error
            except SnmpError as error:
                raise RequestRefused(f"the device refused the walk of {column}: {error}") from error
            if not is_below(oid, column):
                return rows
            if index_key(oid) <= index_key(last):
                self.statistics.reject("order")
                raise DeviceMisbehaved(f"rows of {column} did not come in increasing order")
            last, rows = oid, rows + 1
            if value is not None and self._is_fair(value):
                found[oid] = _plain(value)
        return rows

    async def _repeated(
        self, target: SnmpTarget, allowance: Allowance, ask: Callable[[SnmpSession], Awaitable[T]]
    ) -> T:
        """Ask, and ask again after a timeout, as often as the allowance has repeats."""
        timeout = allowance.trips.timeout_seconds
        asked_at = monotonic()
        async with self._slots, self._turn(target):  # a session bears one question at a time
            allowance.give_back(monotonic() - asked_at)
            for attempt in range(allowance.repeats + 1):
                left = allowance.take()
                session = await self._session(target, allowance)
                self.statistics.requests += 1
                started = monotonic()
                try:
                    found = await asyncio.wait_for(ask(session), min(timeout, left))
                except (TimeoutError, SnmpDecodeError):
                    self.statistics.repeats += 1
                    timeout *= 2
                    self._drop(target)  # a late answer must not meet the next question
                    continue
                except SnmpAuthError as error:
                    raise AuthenticationFailed(f"the device refuses the v3 user: {error}") from error
                except NoSuchInstance:
                    raise
                except SnmpError as error:
                    raise RequestRefused(f"the device refused the request: {error}") from error
                self.statistics.replies += 1
                if attempt == 0:
                    allowance.trips.learn(monotonic() - started)
                return found
        raise self._timed_out(target, None)

    def _turn(self, target: SnmpTarget) -> asyncio.Lock:
        turn = self._turns.get(target)
        if turn is None:
            turn = self._turns[target] = asyncio.Lock()
        return turn

    async def _session(self, target: SnmpTarget, allowance: Allowance) -> SnmpSession:
        session = self._sessions.get(target)
        if session is None:
            session = _open(target)
            if isinstance(target.credential, UsmUser):
                await self._refresh(session, target, allowance)
            self._sessions[target] = session
            if len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(target)
        return session

    async def _refresh(self, session: SnmpSession, target: SnmpTarget, allowance: Allowance) -> None:
        """Discover the v3 engine and its clock."""
        for _ in range(allowance.repeats + 1):
            left = allowance.take()
            try:
                await asyncio.wait_for(session.refresh(), min(allowance.trips.timeout_seconds, left))
            except (TimeoutError, SnmpDecodeError):
                continue
            except SnmpAuthError as error:
                raise AuthenticationFailed(f"the device refuses the v3 user: {error}") from error
            else:
                return
        raise self._timed_out(target, None)

    def _timed_out(self, target: SnmpTarget, cause: Exception | None) -> RequestTimedOut:
        self.statistics.timeouts += 1
        self._drop(target)
        reason = f" ({cause})" if isinstance(cause, SnmpDecodeError) else ""
        return RequestTimedOut(f"{target.host}:{target.port} did not answer in time{reason}")

    def _drop(self, target: SnmpTarget) -> None:
        self._sessions.pop(target, None)

    def _is_fair(self, value: object) -> bool:
        if not isinstance(value, bytes | str) or acceptable(value):
            return True
        self.statistics.reject("size")
        return False

    async def close(self) -> None:
        """Drop the sessions; their sockets close with them."""
        self._sessions.clear()


def _plain(value: object) -> Value:
    """Return a value as the port promises it."""
    return value if isinstance(value, int | bytes | str) else str(value)


def _open(target: SnmpTarget) -> SnmpSession:
    credential = target.credential
    if isinstance(credential, Community):
        version = SnmpVersion.v1 if credential.version == "1" else SnmpVersion.v2c
        return SnmpSession(target.host, target.port, community=credential.name, version=version, timeout=30.0)
    if target.context:
        raise InvalidConfiguration(
            "gufo knows no SNMPv3 contexts: use snmp.engine = datagram or pysnmp for this device"
        )
    auth = priv = None
    if credential.auth != "none":
        auth = _AUTH[credential.auth](
            stretched_key(credential.auth, credential.auth_password), KeyType.Master
        )
    if credential.priv != "none":
        priv = _PRIV[credential.priv](
            stretched_key(credential.auth, credential.priv_password), KeyType.Master
        )
    user = User(credential.name, auth_key=auth, priv_key=priv)
    return SnmpSession(target.host, target.port, user=user, version=SnmpVersion.v3, timeout=30.0)
