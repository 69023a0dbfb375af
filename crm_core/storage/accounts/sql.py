"""What guards the way in, over the CRM database (`ports.AccountsRepository`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from crm_core.domain.accounts import SignInAlarm, SignInRecord, StoredAnswer
from crm_core.domain.identity import TenantId
from crm_core.storage.accounts.tables import sign_in_alarms, sign_in_records, sign_ins, stored_answers
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.tables import insert_once, upsert


class SqlAccountsRepository:
    """Failed sign-ins, alarms and first answers (`ports.AccountsRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sign_in_record(self, kind: str, subject: str) -> SignInRecord:
        table = sign_in_records
        empty = row_of(SignInRecord(kind=kind, subject=subject), changed_at=None)
        # The row must exist to be held; SQLite holds the whole database by itself.
        insert_once(self._connection, table, empty)
        query = select(table).where(table.c.kind == kind, table.c.subject == subject).with_for_update()
        return entity_of(self._connection.execute(query).mappings().one(), SignInRecord)

    def save_sign_in_record(self, record: SignInRecord) -> None:
        table = sign_in_records
        if not record.failures and record.locked_until is None:
            key = (table.c.kind == record.kind, table.c.subject == record.subject)
            self._connection.execute(table.delete().where(*key))
            return
        newest = max((*record.failures, *((record.locked_until,) if record.locked_until else ())))
        upsert(self._connection, table, row_of(record, changed_at=newest))

    def note_sign_in(self, tenant: TenantId, user_id: str, at: datetime) -> None:
        upsert(self._connection, sign_ins, {"tenant": tenant, "user_id": user_id, "at": at})

    def last_sign_ins(self, tenant: TenantId) -> Mapping[str, datetime]:
        query = select(sign_ins.c.user_id, sign_ins.c.at).where(sign_ins.c.tenant == tenant)
        return {row.user_id: row.at for row in self._connection.execute(query)}

    def add_alarm(self, alarm: SignInAlarm) -> SignInAlarm:
        row = row_of(alarm)
        del row["alarm_id"]
        made = self._connection.execute(sign_in_alarms.insert().returning(sign_in_alarms), row)
        return entity_of(made.mappings().one(), SignInAlarm)

    def alarms(self, tenant: TenantId, before: int | None = None, limit: int = 100) -> Sequence[SignInAlarm]:
        table = sign_in_alarms
        query = select(table).where(table.c.tenant == tenant)
        if before is not None:
            query = query.where(table.c.alarm_id < before)
        rows = self._connection.execute(query.order_by(table.c.alarm_id.desc()).limit(limit))
        return [entity_of(row, SignInAlarm) for row in rows.mappings()]

    def begin_answer(self, answer: StoredAnswer, stale_before: datetime) -> StoredAnswer | None:
        table = stored_answers
        if insert_once(self._connection, table, _answer_row(answer)) is not None:
            return None
        query = select(table).where(table.c.key == answer.key).with_for_update()
        found = self._connection.execute(query).mappings().first()
        if found is None or (found["status"] == 0 and found["at"] < stale_before):
            upsert(self._connection, table, _answer_row(answer))
            return None
        return entity_of(found, StoredAnswer)

    def finish_answer(self, answer: StoredAnswer) -> None:
        upsert(self._connection, stored_answers, _answer_row(answer))

    def drop_answer(self, key: str) -> None:
        self._connection.execute(stored_answers.delete().where(stored_answers.c.key == key))

    def purge(self, answers_before: datetime, records_before: datetime) -> int:
        answers = stored_answers.delete().where(stored_answers.c.at < answers_before)
        records = sign_in_records.delete().where(sign_in_records.c.changed_at < records_before)
        return self._connection.execute(answers).rowcount + self._connection.execute(records).rowcount


def _answer_row(answer: StoredAnswer) -> dict[str, Any]:
    return row_of(answer, body=answer.body)  # bytes as they are: the mapping would write base64
