"""The business figures of quality (`config/policy/quality.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """When forecasts are no longer trusted, what is odd in the data, and when a customer may be leaving."""

    coverage_least: float  # share of truths within P10 and P90
    coverage_most: float
    coverage_rows: int  # judged promises before an alarm
    window_days: int
    drift_limit: float  # population stability index of a feature
    silent_days: int
    early_swaps: int  # changed before empty, within the device's memory
    early_swap_level: float  # share of the supply that was left
    unusual_share: float  # of the devices that are shown as unusual at most
    idle_days: int
    churn_volume_fall: float  # share of last quarter's pages that are gone
    churn_renewal_days: int
    check_days: int  # time for a check task
