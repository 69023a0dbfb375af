"""How good the forecasts were, and what the fleet's data say: promises, scores, findings and outlooks.

A promise is a forecast that is kept until the truth is known. Scores are what became of promises. A finding is
something odd in the data that a person should look at; it is not a fault, and opens no ticket. An outlook is a list that
is worked out anew every night (demand, idle devices, customers who may leave).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from crm_core.domain.forecast import Reason
from crm_core.domain.identity import CustomerId, DeviceId, TenantId


class Subject(StrEnum):
    """What was forecast."""

    SUPPLIES = "supplies"
    FAILURES = "failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One forecast that is kept to be judged. `outcome` is days to empty, or 1 and 0 for a failure that came or not.

    `item` is the supply index, empty for a failure. `group` says how its gauge reports. With `resolved_on` set and no
    outcome the truth will never be known (changed early).
    """

    tenant: TenantId
    subject: Subject
    device_id: DeviceId
    item: str
    made_on: date
    model: str
    group: str
    device_model: str
    p10: float  # days; of a failure: the chance within 14 days, three times
    p50: float
    p90: float
    resolved_on: date | None = None
    outcome: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of the promises of a window, for all, for a kind of gauge, for a device model or for a forecast model.

    Days for supplies: mean error, bias (forecast minus truth) and mean width of the interval; `coverage` is the share of
    truths between P10 and P90. For failures `error` is the calibration error and `bias` the mean chance minus the share
    that failed.
    """

    tenant: TenantId
    as_of: date
    subject: Subject
    grouping: str  # all, gauge, device_model, model
    name: str
    rows: int
    error: float | None
    bias: float | None
    coverage: float | None
    width: float | None


class FindingKind(StrEnum):
    """What may be odd."""

    COUNTER_ROLLBACK = "counter_rollback"
    CLONE = "clone"
    MOVED = "moved"
    SILENT = "silent"
    EARLY_SWAPS = "early_swaps"
    UNUSUAL_USE = "unusual_use"
    COVERAGE = "coverage"
    DRIFT = "drift"


class FindingState(StrEnum):
    """A finding is open until its cause is gone or somebody has looked at it."""

    OPEN = "open"
    SEEN = "seen"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something odd about one subject (a device, or an estimator), with at most three reasons. One per kind and subject.

    `score` orders findings of a kind: higher is odder.
    """

    tenant: TenantId
    finding_id: int
    kind: FindingKind
    subject: str
    device_id: DeviceId | None
    customer_id: CustomerId | None
    first_seen: date
    last_seen: date
    score: float
    reasons: tuple[Reason, ...]
    state: FindingState = FindingState.OPEN
    seen_by: str = ""
    note: str = ""
    version: int = 1


class OutlookKind(StrEnum):
    """Lists that are worked out every night."""

    DEMAND = "demand"
    IDLE = "idle"
    CHURN = "churn"
    MODELS = "models"
    PART_LIVES = "part_lives"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The newest list of a kind; the fields of its rows are those of the API (docs/analytics.md)."""

    tenant: TenantId
    kind: OutlookKind
    as_of: date
    rows: tuple[Mapping[str, object], ...]
