"""The guard before the sign-in: repeated failures lock an account or address for a while and raise an alarm (111).

What it counts lies in the CRM database, so that it holds across processes and restarts. An attempt is counted before
the password is hashed: many at once cannot slip past the limit while the first one is hashed.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from api.services import GuardSettings
from crm_core.domain.accounts import SignInAlarm, SignInRecord
from crm_core.domain.identity import TenantId
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_log = logging.getLogger("drumbeat.api")
ACCOUNT, ADDRESS = "account", "address"
ADDRESS_FACTOR: Final = 5  # an office shares one address
UNKNOWN: Final = "?"  # a name that is no account may be a password typed into the wrong field: it is not kept


class SignInGuard:
    """Counts failures by account and by address; `alarmed` is told the kind of each alarm."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        settings: GuardSettings,
        alarmed: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._settings = settings
        self._alarmed = alarmed

    def admit(self, tenant: TenantId, name: str, address: str) -> float:
        """Count an attempt that may fail and return 0, or return the seconds to wait when there were too many."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            records = [
                self._record(uow, kind, subject, now) for kind, subject in _subjects(tenant, name, address)
            ]
            wait = max(self._wait(record, now) for record in records)
            if wait <= 0:
                for record in records:
                    uow.accounts.save_sign_in_record(replace(record, failures=(*record.failures, now)))
                uow.commit()
        return wait

    def succeeded(self, tenant: TenantId, name: str, address: str) -> None:
        """Forget what was counted: the person has shown to be the right one."""
        with self._uow_factory() as uow:
            for kind, subject in _subjects(tenant, name, address):
                uow.accounts.save_sign_in_record(SignInRecord(kind=kind, subject=subject))
            uow.commit()

    def failed(self, tenant: TenantId, name: str, address: str, *, known: bool) -> None:
        """Lock what failed too often and raise one alarm for each; `known` says whether the account exists."""
        now = self._clock.now()
        raised: list[SignInAlarm] = []
        with self._uow_factory() as uow:
            for kind, subject in _subjects(tenant, name, address):
                record = self._record(uow, kind, subject, now)
                if len(record.failures) < self._limit(kind) or record.locked_until is not None:
                    continue
                until = now + self._settings.lock_out
                uow.accounts.save_sign_in_record(replace(record, locked_until=until))
                raised.append(
                    uow.accounts.add_alarm(
                        SignInAlarm(
                            tenant=tenant,
                            alarm_id=0,
                            kind=kind,
                            subject=address[:64] if kind == ADDRESS else name if known else UNKNOWN,
                            address=address[:64],
                            failures=len(record.failures),
                            raised_at=now,
                            locked_until=until,
                        )
                    )
                )
            uow.commit()
        for alarm in raised:
            _log.warning(
                "sign-in locked after repeated failures",
                extra={
                    "kind": alarm.kind,
                    "subject": alarm.subject,
                    "address": alarm.address,
                    "failures": alarm.failures,
                },
            )
            self._alarmed(alarm.kind)

    def unlock(self, tenant: TenantId, name: str) -> None:
        """Let an account sign in again at once: an administrator knows better."""
        with self._uow_factory() as uow:
            uow.accounts.save_sign_in_record(
                SignInRecord(kind=ACCOUNT, subject=_digest(tenant, name.casefold()))
            )
            uow.commit()

    def _record(self, uow: UnitOfWork, kind: str, subject: str, now: datetime) -> SignInRecord:
        """Return the record without what lies before the window and without a lock that has ended."""
        record = uow.accounts.sign_in_record(kind, subject)
        if record.locked_until is not None and record.locked_until <= now:
            return SignInRecord(kind=kind, subject=subject)
        recent = tuple(at for at in record.failures if at > now - self._settings.window)
        return replace(record, failures=recent[-self._limit(kind) :])

    def _wait(self, record: SignInRecord, now: datetime) -> float:
        """Return the seconds until this record lets another attempt through."""
        if record.locked_until is not None:
            return (record.locked_until - now).total_seconds()
        if len(record.failures) < self._limit(record.kind):
            return 0.0
        return (record.failures[0] + self._settings.window - now).total_seconds()

    def _limit(self, kind: str) -> int:
        return self._settings.attempts * (ADDRESS_FACTOR if kind == ADDRESS else 1)


def _subjects(tenant: TenantId, name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return kind and digest of what an attempt counts for, in one order for all: two attempts never wait crosswise."""
    return (ACCOUNT, _digest(tenant, name.casefold())), (ADDRESS, _digest(tenant, address))


def _digest(tenant: TenantId, text: str) -> str:
    return hashlib.sha256(f"{tenant}\0{text}".encode("utf-8", "replace")).hexdigest()
