"""The business figures of trust (`config/policy/trust.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPolicy:
    """Trust: the audit chain, and personal data under lock."""
