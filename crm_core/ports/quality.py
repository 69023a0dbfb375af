"""The port of quality: scorecards of forecasts, drift, demand, churn and integrity findings."""

from typing import Protocol


class QualityRepository(Protocol):
    """Scorecards of forecasts, drift, demand, churn and integrity findings, within one transaction."""
