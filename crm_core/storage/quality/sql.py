"""Quality over the CRM database (`ports.QualityRepository`)."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ColumnElement, Connection, delete, select

from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Finding, Outlook, OutlookKind, Promise, Score, Subject
from crm_core.ports.records import Records
from crm_core.storage.quality import tables
from crm_core.storage.records import SqlRecords
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.tables import upsert, upsert_many


class SqlQualityRepository:
    """Scorecards of forecasts, drift, demand, churn and integrity findings (`ports.QualityRepository`)."""

    findings: Records[Finding]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.findings = SqlRecords(connection, tables.findings, Finding, "finding_id")

    def save_promises(self, promises: Sequence[Promise]) -> None:
        upsert_many(self._connection, tables.promises, [row_of(promise) for promise in promises])

    def open_promises(self, tenant: TenantId) -> Sequence[Promise]:
        return self._promises(tenant, tables.promises.c.resolved_on.is_(None))

    def promises_since(self, tenant: TenantId, made_since: date) -> Sequence[Promise]:
        return self._promises(tenant, tables.promises.c.made_on >= made_since)

    def _promises(self, tenant: TenantId, condition: ColumnElement[bool]) -> list[Promise]:
        table = tables.promises
        query = select(table).where(table.c.tenant == tenant, condition)
        ordered = query.order_by(table.c.made_on, table.c.subject, table.c.device_id, table.c.item)
        return [entity_of(row, Promise) for row in self._connection.execute(ordered).mappings()]

    def forget_promises(self, tenant: TenantId, before: date) -> int:
        table = tables.promises
        done = self._connection.execute(
            delete(table).where(table.c.tenant == tenant, table.c.made_on < before)
        )
        return int(done.rowcount)

    def save_scores(self, scores: Sequence[Score]) -> None:
        upsert_many(self._connection, tables.scores, [row_of(score) for score in scores])

    def scores(self, tenant: TenantId, since: date, subject: Subject | None = None) -> Sequence[Score]:
        table = tables.scores
        query = select(table).where(table.c.tenant == tenant, table.c.as_of >= since)
        if subject is not None:
            query = query.where(table.c.subject == subject.value)
        ordered = query.order_by(table.c.as_of, table.c.subject, table.c.grouping, table.c.name)
        return [entity_of(row, Score) for row in self._connection.execute(ordered).mappings()]

    def save_outlook(self, outlook: Outlook) -> None:
        upsert(self._connection, tables.outlooks, row_of(outlook))

    def outlook(self, tenant: TenantId, kind: OutlookKind) -> Outlook | None:
        table = tables.outlooks
        query = select(table).where(table.c.tenant == tenant, table.c.kind == kind.value)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else entity_of(row, Outlook)
