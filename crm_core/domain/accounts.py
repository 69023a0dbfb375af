"""What guards the way in: counted failures of sign-ins, alarms about them, and answers that repeats get again."""

from dataclasses import dataclass
from datetime import datetime

from crm_core.domain.identity import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRecord:
    """The recent failures of one account or address; `subject` is a SHA-256, so that typing errors are not kept.

    `failures` are the newest instants within the window; until `locked_until` nobody signs in here.
    """

    kind: str  # account or address
    subject: str
    failures: tuple[datetime, ...] = ()
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAlarm:
    """Somebody failed too often (requirement 111). `subject` is the address, or the name of an account that exists."""

    tenant: TenantId
    alarm_id: int
    kind: str  # account or address
    subject: str
    address: str
    failures: int
    raised_at: datetime
    locked_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """The first answer under an idempotency key. `status` 0 means that the first request still runs.

    `key` and `fingerprint` are SHA-256; `body` is sealed by the caller with something that is not stored.
    """

    key: str
    fingerprint: str
    at: datetime
    status: int = 0
    body: bytes = b""
