"""What guards the way in, in memory, with the promises of the database (`ports.AccountsRepository`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from crm_core.domain.accounts import SignInAlarm, SignInRecord, StoredAnswer
from crm_core.domain.identity import TenantId
from crm_core.storage.memory_service import Journal, Table


class MemoryAccountsRepository:
    """Failed sign-ins, alarms and first answers (`ports.AccountsRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._records: Table[SignInRecord] = Table(journal)
        self._alarms: Table[SignInAlarm] = Table(journal)
        self._answers: Table[StoredAnswer] = Table(journal)
        self._sign_ins: Table[datetime] = Table(journal)
        self._last_alarm = 0

    def sign_in_record(self, kind: str, subject: str) -> SignInRecord:
        return self._records.rows.get((kind, subject)) or SignInRecord(kind=kind, subject=subject)

    def save_sign_in_record(self, record: SignInRecord) -> None:
        key = (record.kind, record.subject)
        if record.failures or record.locked_until is not None:
            self._records.put(key, record)
        elif key in self._records.rows:
            self._records.drop(key)

    def note_sign_in(self, tenant: TenantId, user_id: str, at: datetime) -> None:
        self._sign_ins.put((tenant, user_id), at)

    def last_sign_ins(self, tenant: TenantId) -> Mapping[str, datetime]:
        return {user_id: at for (owner, user_id), at in self._sign_ins.rows.items() if owner == tenant}

    def add_alarm(self, alarm: SignInAlarm) -> SignInAlarm:
        self._last_alarm += 1
        made = replace(alarm, alarm_id=self._last_alarm)
        self._alarms.put((made.alarm_id,), made)
        return made

    def alarms(self, tenant: TenantId, before: int | None = None, limit: int = 100) -> Sequence[SignInAlarm]:
        rows = [
            alarm
            for alarm in self._alarms.rows.values()
            if alarm.tenant == tenant and (before is None or alarm.alarm_id < before)
        ]
        return sorted(rows, key=lambda alarm: -alarm.alarm_id)[:limit]

    def begin_answer(self, answer: StoredAnswer, stale_before: datetime) -> StoredAnswer | None:
        found = self._answers.rows.get((answer.key,))
        if found is not None and not (found.status == 0 and found.at < stale_before):
            return found
        self._answers.put((answer.key,), answer)
        return None

    def finish_answer(self, answer: StoredAnswer) -> None:
        self._answers.put((answer.key,), answer)

    def drop_answer(self, key: str) -> None:
        if (key,) in self._answers.rows:
            self._answers.drop((key,))

    def purge(self, answers_before: datetime, records_before: datetime) -> int:
        answers = [key for key, each in self._answers.rows.items() if each.at < answers_before]
        records = [
            key
            for key, each in self._records.rows.items()
            if max((*each.failures, each.locked_until or each.failures[-1])) < records_before
        ]
        for key in answers:
            self._answers.drop(key)
        for key in records:
            self._records.drop(key)
        return len(answers) + len(records)
