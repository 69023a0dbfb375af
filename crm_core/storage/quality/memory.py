"""Quality in memory, with the promises of the database."""

from collections.abc import Iterable, Sequence
from datetime import date

from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Finding, Outlook, OutlookKind, Promise, Score, Subject
from crm_core.ports.records import Records
from crm_core.storage.memory_service import Journal, Table
from crm_core.storage.records import MemoryRecords


class MemoryQualityRepository:
    """Scorecards of forecasts, drift, demand, churn and integrity findings (`ports.QualityRepository`)."""

    findings: Records[Finding]

    def __init__(self, journal: Journal) -> None:
        self.findings = MemoryRecords(
            journal, "finding_id", lambda each: (each.kind, each.subject), indexed="device_id"
        )
        self._promises: Table[Promise] = Table(journal)
        self._scores: Table[Score] = Table(journal)
        self._outlooks: Table[Outlook] = Table(journal)

    def save_promises(self, promises: Sequence[Promise]) -> None:
        for each in promises:
            self._promises.put(_promise_key(each), each)

    def open_promises(self, tenant: TenantId) -> Sequence[Promise]:
        return self._sorted(
            each
            for each in self._promises.rows.values()
            if each.tenant == tenant and each.resolved_on is None
        )

    def promises_since(self, tenant: TenantId, made_since: date) -> Sequence[Promise]:
        return self._sorted(
            each
            for each in self._promises.rows.values()
            if each.tenant == tenant and each.made_on >= made_since
        )

    @staticmethod
    def _sorted(rows: Iterable[Promise]) -> list[Promise]:
        return sorted(rows, key=lambda each: (each.made_on, each.subject, each.device_id, each.item))

    def forget_promises(self, tenant: TenantId, before: date) -> int:
        old = [
            key
            for key, each in self._promises.rows.items()
            if each.tenant == tenant and each.made_on < before
        ]
        for key in old:
            self._promises.drop(key)
        return len(old)

    def save_scores(self, scores: Sequence[Score]) -> None:
        for each in scores:
            self._scores.put((each.tenant, each.as_of, each.subject, each.grouping, each.name), each)

    def scores(self, tenant: TenantId, since: date, subject: Subject | None = None) -> Sequence[Score]:
        found = [
            each
            for each in self._scores.rows.values()
            if each.tenant == tenant and each.as_of >= since and subject in (None, each.subject)
        ]
        return sorted(found, key=lambda each: (each.as_of, each.subject, each.grouping, each.name))

    def save_outlook(self, outlook: Outlook) -> None:
        self._outlooks.put((outlook.tenant, outlook.kind), outlook)

    def outlook(self, tenant: TenantId, kind: OutlookKind) -> Outlook | None:
        return self._outlooks.rows.get((tenant, kind))


def _promise_key(each: Promise) -> tuple[object, ...]:
    return each.tenant, each.subject, each.device_id, each.item, each.made_on
