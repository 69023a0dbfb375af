"""The SNMP port: what the poller needs from an engine, and the limits that every engine keeps.

Three adapters stand behind it and pass one contract suite: `engine_datagram` (own, one socket, the default),
`engine_gufo` (gufo-snmp) and `engine_pysnmp` (pysnmp). A device is hostile until proven otherwise: replies are accepted
only from the asked address, with the asked OIDs in number and order (or strictly increasing in a walk), and one poll may
not spend more than an `Allowance`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from time import monotonic
from typing import Final, Literal, Protocol

from crm_core.domain.errors import DeviceMisbehaved, DeviceUnreachable, InvalidValue

Value = int | bytes | str

MAX_REQUESTS: Final = 64
MAX_SECONDS: Final = 10.0
MAX_ROWS: Final = 2048
MAX_VALUE_OCTETS: Final = 4096
FIRST_TIMEOUT_SECONDS: Final = 2.0
MIN_TIMEOUT_SECONDS: Final = 0.25
MAX_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Community:
    """SNMP v1 or v2c. The name is a password: it does not show in logs."""

    name: str = field(default="public", repr=False)
    version: Literal["1", "2c"] = "2c"


MIN_PASSWORD: Final = 8
AuthProtocol = Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"]
PrivProtocol = Literal["none", "des", "aes128", "aes192", "aes256"]


@dataclass(frozen=True, slots=True)
class UsmUser:
    """SNMP v3 user (RFC 3414, RFC 3826, RFC 7860). MD5, SHA-1 and DES are for legacy devices only."""

    name: str
    auth: AuthProtocol = "none"
    auth_password: str = field(default="", repr=False)
    priv: PrivProtocol = "none"
    priv_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.priv != "none" and self.auth == "none":
            raise InvalidValue("SNMPv3 privacy needs authentication: choose an auth protocol too")
        secrets = ((self.auth, self.auth_password), (self.priv, self.priv_password))
        if any(protocol != "none" and len(password) < MIN_PASSWORD for protocol, password in secrets):
            raise InvalidValue(f"SNMPv3 passwords have at least {MIN_PASSWORD} characters (RFC 3414)")

    @property
    def is_legacy(self) -> bool:
        """True if a broken algorithm is used: worth a warning to the operator."""
        return self.auth in {"md5", "sha1"} or self.priv == "des"


Credential = Community | UsmUser


@dataclass(frozen=True, slots=True)
class SnmpTarget:
    """Where and how to ask: an IP address (names are resolved before), a UDP port, a credential, a v3 context."""

    host: str
    port: int = 161
    credential: Credential = field(default_factory=Community)
    context: str = ""

    def in_context(self, context: str) -> "SnmpTarget":
        """Return the same agent seen in a context: by name in v3, by `community@context` before (as HP's JetDirect)."""
        credential = self.credential
        if isinstance(credential, Community):
            credential = replace(credential, name=f"{credential.name}@{context}")
        return replace(self, credential=credential, context=context)


class RequestTimedOut(DeviceUnreachable):
    """No acceptable reply came in time, repeats included."""


class AllowanceSpent(DeviceMisbehaved):
    """The device used up the requests or the seconds that one poll may cost."""


class TooBig(DeviceMisbehaved):
    """The device cannot answer so many OIDs in one message: ask for fewer."""


class RequestRefused(DeviceMisbehaved):
    """The device answered with an error status, or a v3 report that no repeat can cure."""


class AuthenticationFailed(RequestRefused):
    """The device does not accept the v3 user, its password or its level."""


class RoundTrips:
    """Round-trip times of one device as TCP keeps them (RFC 6298): smoothed mean plus four deviations."""

    __slots__ = ("_first", "deviation", "smoothed")

    def __init__(self, first_seconds: float = FIRST_TIMEOUT_SECONDS) -> None:
        self._first = first_seconds
        self.smoothed: float | None = None
        self.deviation = 0.0

    def learn(self, seconds: float) -> None:
        """Take one measured round trip of a request that was not repeated (Karn)."""
        if self.smoothed is None:
            self.smoothed, self.deviation = seconds, seconds / 2
            return
        self.deviation += (abs(seconds - self.smoothed) - self.deviation) / 4
        self.smoothed += (seconds - self.smoothed) / 8

    @property
    def timeout_seconds(self) -> float:
        """How long to wait for the first try; each repeat doubles it."""
        if self.smoothed is None:
            return self._first
        return min(MAX_TIMEOUT_SECONDS, max(MIN_TIMEOUT_SECONDS, self.smoothed + 4 * self.deviation))


class Allowance:
    """What one poll of one device may still cost; shared by all its requests, repeats included.

    The clock starts with the first request, and time spent waiting for a free slot of our own window is given back: a busy
    poller must never make a living printer look dead.
    """

    __slots__ = ("_seconds", "deadline", "repeats", "requests", "requests_left", "trips")

    def __init__(
        self,
        *,
        requests: int = MAX_REQUESTS,
        seconds: float = MAX_SECONDS,
        repeats: int = 2,
        trips: RoundTrips | None = None,
    ) -> None:
        self.requests = requests
        self.requests_left = requests
        self._seconds = seconds
        self.deadline = inf
        self.repeats = repeats
        self.trips = trips if trips is not None else RoundTrips()

    def take(self) -> float:
        """Count one request and return the seconds left; raise `AllowanceSpent` when there is nothing left."""
        now = monotonic()
        if self.deadline == inf:
            self.deadline = now + self._seconds
        left = self.deadline - now
        if self.requests_left <= 0 or left <= 0:
            what = "requests" if self.requests_left <= 0 else "seconds"
            raise AllowanceSpent(f"the poll used up its {what}: the device answers too slowly or without end")
        self.requests_left -= 1
        return left

    def give_back(self, seconds: float) -> None:
        """Do not count the time that the poller itself made the device wait."""
        self.deadline += seconds

    @property
    def is_spent(self) -> bool:
        """True if no further request may be sent."""
        return self.requests_left <= 0 or monotonic() >= self.deadline


@dataclass(slots=True)
class EngineStatistics:
    """Counts since the engine was made; each rejection by its reason. Exported on /metrics by the wiring."""

    requests: int = 0
    replies: int = 0
    repeats: int = 0
    timeouts: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """Count a datagram or row that was not accepted."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1


class SnmpEngine(Protocol):
    """Asks devices. Safe for many concurrent calls in one event loop.

    All OIDs are dotted without leading dot. Values: int for every integer type, bytes for OCTET STRING and Opaque, str for
    OBJECT IDENTIFIER and IpAddress. Raised: `RequestTimedOut`, `AllowanceSpent`, `TooBig`, `RequestRefused`.
    """

    @property
    def statistics(self) -> EngineStatistics: ...

    async def get(self, target: SnmpTarget, wanted: Sequence[str], allowance: Allowance) -> dict[str, Value]:
        """Return the values of exact OIDs in one request; those that the device does not have are absent."""
        ...

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
        """Put everything below the columns (prefixes, each with its own subtree) into `found` as it comes.

        A column ends at the first OID that leaves it; one that does not increase ends it, too, and raises
        `DeviceMisbehaved` when the other columns are read. `per_reply` is how many rows one reply
        should hold. A failure on the way keeps what was read.
        """
        ...

    async def close(self) -> None:
        """Release sockets. The engine cannot be used afterwards."""
        ...


async def walk(
    engine: SnmpEngine,
    target: SnmpTarget,
    columns: Sequence[str],
    allowance: Allowance,
    max_rows: int = MAX_ROWS,
) -> dict[str, Value]:
    """Return everything below the columns; a failure on the way loses it (see `SnmpEngine.walk_into`)."""
    found: dict[str, Value] = {}
    await engine.walk_into(found, target, columns, allowance, max_rows=max_rows)
    return found


def is_below(oid: str, prefix: str) -> bool:
    """Tell whether an OID stands strictly below a prefix."""
    return oid.startswith(prefix) and oid[len(prefix) : len(prefix) + 1] == "."


def acceptable(value: Value) -> bool:
    """Tell whether a value has a size that a printer may send: longer strings are an attack or a fault."""
    return not isinstance(value, bytes | str) or len(value) <= MAX_VALUE_OCTETS
