"""The business figures of quality (`config/policy/quality.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """Quality: how good the forecasts were, and what the fleet's data say about demand, churn and integrity."""
