"""The business figures of trust (`config/policy/trust.yaml`) as a frozen type."""

from dataclasses import dataclass, field
from datetime import timedelta

from crm_core.domain.service import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalFieldRule:
    """How one personal field is treated (requirements 78 and 93)."""

    shown_last: int  # so many characters of the end are shown to those who may not read it
    look_up: bool  # an exact value can be searched
    read_by: frozenset[Role]  # who sees it in full


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How long is kept what is no longer needed for the business."""

    personal: timedelta = timedelta(days=1095)  # personal fields after a customer's last contract ended
    expired_tokens: timedelta = timedelta(days=30)
    processed_signals: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """Trust: personal data under lock, retention, and the audit chain."""

    personal: dict[str, PersonalFieldRule] = field(default_factory=dict)
    retention: RetentionPolicy = RetentionPolicy()
