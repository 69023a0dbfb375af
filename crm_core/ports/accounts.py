"""The port of what guards the way in; it holds across processes and restarts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from crm_core.domain.accounts import SignInAlarm, SignInRecord, StoredAnswer
from crm_core.domain.identity import TenantId


class AccountsRepository(Protocol):
    """Failed sign-ins, alarms about them, and the first answers of repeatable requests."""

    def sign_in_record(self, kind: str, subject: str) -> SignInRecord:
        """Return the record, held against other transactions until this one ends; an empty one when there is none."""
        ...

    def save_sign_in_record(self, record: SignInRecord) -> None:
        """Replace the record; one without failures and lock is forgotten."""
        ...

    def note_sign_in(self, tenant: TenantId, user_id: str, at: datetime) -> None:
        """Keep that somebody signed in; only the newest time of each person is kept."""
        ...

    def last_sign_ins(self, tenant: TenantId) -> Mapping[str, datetime]:
        """Return when each person last signed in, by user id; who never did is absent."""
        ...

    def add_alarm(self, alarm: SignInAlarm) -> SignInAlarm:
        """Insert the alarm (its id is ignored) and return it with its id."""
        ...

    def alarms(self, tenant: TenantId, before: int | None = None, limit: int = 100) -> Sequence[SignInAlarm]:
        """Return the alarms with an id smaller than `before`, newest first."""
        ...

    def begin_answer(self, answer: StoredAnswer, stale_before: datetime) -> StoredAnswer | None:
        """Insert the answer that is under way, or return the one that has its key.

        One that is older than `stale_before` and still under way belonged to a process that died: it is replaced.
        """
        ...

    def finish_answer(self, answer: StoredAnswer) -> None:
        """Keep a complete answer."""
        ...

    def drop_answer(self, key: str) -> None:
        """Forget a key, so that its request may be tried again."""
        ...

    def purge(self, answers_before: datetime, records_before: datetime) -> int:
        """Drop answers and sign-in records that are older; return how many rows went."""
        ...
