"""The port of quality: scorecards of forecasts, drift, demand, churn and integrity findings."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Finding, Outlook, OutlookKind, Promise, Score, Subject
from crm_core.ports.records import Records


class QualityRepository(Protocol):
    """Scorecards of forecasts, drift, demand, churn and integrity findings, within one transaction.

    Natural keys: one finding for kind and subject; one promise for subject, device, item and day; one score for day,
    subject, grouping and name; one outlook a kind.
    """

    findings: Records[Finding]

    def save_promises(self, promises: Sequence[Promise]) -> None:
        """Insert promises or replace those with the same key."""
        ...

    def open_promises(self, tenant: TenantId) -> Sequence[Promise]:
        """Return the promises whose truth is not known yet, oldest first."""
        ...

    def promises_since(self, tenant: TenantId, made_since: date) -> Sequence[Promise]:
        """Return the promises made on or after a day, oldest first."""
        ...

    def forget_promises(self, tenant: TenantId, before: date) -> int:
        """Delete promises made before a day; return how many."""
        ...

    def save_scores(self, scores: Sequence[Score]) -> None: ...

    def scores(self, tenant: TenantId, since: date, subject: Subject | None = None) -> Sequence[Score]:
        """Return scores as of `since` or later, oldest first."""
        ...

    def save_outlook(self, outlook: Outlook) -> None:
        """Replace the outlook of its kind."""
        ...

    def outlook(self, tenant: TenantId, kind: OutlookKind) -> Outlook | None: ...
