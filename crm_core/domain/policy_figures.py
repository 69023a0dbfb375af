"""Figures of the business as people look at them: one by one, by version, and as a change to come into force on a date."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from crm_core.domain.identity import TenantId
from crm_core.domain.trust import AuditNote

FigureValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFigure:
    """One figure in force: what it is, which requirement it fulfils, since when and by which version."""

    key: str
    value: FigureValue
    unit: str
    requirement: int
    note: str
    version: str
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersionInfo:
    """One version of the policy. `changes` holds what differs from the version before, empty for the first."""

    version: str
    effective_from: date
    in_force: bool
    changes: Mapping[str, tuple[FigureValue, FigureValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """Figures that shall have other values from a date on."""

    version: str
    effective_from: date
    figures: Mapping[str, FigureValue]
    note: str = ""


def policy_note(tenant: TenantId, made: PolicyVersionInfo) -> AuditNote:
    """Return what the audit chain keeps of a change of figures."""
    changes = "; ".join(f"{key}: {old} -> {new}" for key, (old, new) in sorted(made.changes.items()))
    return AuditNote(
        tenant=tenant,
        action="policy.changed",
        kind="policy",
        object_id=made.version,
        detail=f"from {made.effective_from}: {changes}"[:2000],
    )
