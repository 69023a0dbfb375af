"""Was it true? Forecasts are kept as promises, judged when the truth shows, and an estimator that errs loses its place.

A nightly run keeps one promise a week of every supply that runs out within 30 days and of every device's chance to fail.
A later night fills in what came true; the scorecard says how wide, how right and how well calibrated they were, for all,
by kind of gauge, by device model and by forecast model. A supply that was changed before its end counts as well: with its
end as good as seen (the gauge had passed most of the way) or for as long as it was watched (`censored`).
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, TypedDict

import numpy as np

from analytics.censored import held_share
from analytics.evaluation import calibration_error
from analytics.features import EPOCH, EndedLife, FleetState, day_number
from analytics.supply_state import SupplyState
from crm_core.domain.forecast import FailureForecast, SupplyForecast
from crm_core.domain.identity import TenantId
from crm_core.domain.quality import Promise, Score, Subject

PROMISE_EVERY_DAYS: Final = 7
_WATCHED_DEVICES: Final = 20_000
NEAR_DAYS: Final = 30.0
FAILURE_DAYS: Final = 14
_GIVE_UP_DAYS: Final = 150  # nobody plans that far; the truth of older promises is left open for good
_SAYS_EMPTY: Final = 0.004  # share of full that a gauge states as 0: nothing is left to foretell
_GAUGES: Final = ((0.004, "ml"), (0.02, "steps_1"), (0.06, "steps_5"), (1.0, "steps_10"))


def gauge_groups(supply: SupplyState) -> list[str]:
    """Return how each gauge reports: ml, steps_1, steps_5, steps_10, sticking or some_remaining."""
    step = supply.resolution()
    names = np.full(len(supply), _GAUGES[-1][1], dtype=object)
    for limit, name in reversed(_GAUGES):
        names[step <= limit] = name
    names[supply.sticks()] = "sticking"
    names[supply.speaks_late()] = "some_remaining"
    return [str(name) for name in names]


def is_due(device_id: str, day: int, devices: int) -> bool:
    """Return True on one day in seven, another one for every device; of a very large fleet the same part is watched always.

    Promises of 20,000 devices say what there is to say; those of ten times as many would make every night longer.
    """
    number = zlib.crc32(device_id.encode())
    watched = (number >> 8) % max(1, -(-devices // _WATCHED_DEVICES)) == 0
    return watched and (day + number) % PROMISE_EVERY_DAYS == 0


def promises_of(
    state: FleetState, supplies: Iterable[SupplyForecast], failures: Iterable[FailureForecast], as_of: date,
    device_models: Mapping[str, str],
) -> list[Promise]:  # fmt: skip
    """Return what of tonight's forecasts is kept to be judged; `device_models` names the model of each device."""
    day, groups, devices = day_number(as_of), gauge_groups(state.supply), len(state.device_ids)
    made = []
    for supply in supplies:
        days = supply.days_to_empty
        if days is None or days.p50 > NEAR_DAYS or not is_due(supply.device_id, day, devices):
            continue
        row = state.supply_row(supply.device_id, supply.supply_index)
        if state.supply.reported[row] <= _SAYS_EMPTY:
            continue
        made.append(
            Promise(
                tenant=state.tenant, subject=Subject.SUPPLIES, device_id=supply.device_id, item=supply.supply_index,
                made_on=as_of, model=supply.provenance.model, group=groups[row],
                device_model=device_models.get(supply.device_id, ""), p10=days.p10, p50=days.p50, p90=days.p90,
            )
        )  # fmt: skip
    for failure in failures:
        chance = failure.p_fail_14d
        if chance is None or not is_due(failure.device_id, day, devices):
            continue
        made.append(
            Promise(
                tenant=state.tenant, subject=Subject.FAILURES, device_id=failure.device_id, item="", made_on=as_of,
                model=failure.provenance.model, group=failure.component or "none",
                device_model=device_models.get(failure.device_id, ""), p10=chance, p50=chance, p90=chance,
            )
        )  # fmt: skip
    return made


def with_news(kept: Iterable[Promise], news: Iterable[Promise], made_since: date) -> list[Promise]:
    """Return the promises of a window in their order, with what became of them tonight and those that are new."""
    joined = {(each.made_on, each.subject, each.device_id, each.item): each for each in (*kept, *news)}
    return [joined[key] for key in sorted(joined) if key[0] >= made_since]


def resolved(
    state: FleetState, promises: Sequence[Promise], failures: Mapping[str, Sequence[int]], as_of: date
) -> list[Promise]:
    """Return the open promises whose truth has shown by the end of `as_of`, with their outcome.

    `failures` has the days (since 1970) of each device's failures.
    """
    today = day_number(as_of)
    lives: dict[int, list[EndedLife]] = {}
    for life in state.ended:
        lives.setdefault(life.row, []).append(life)
    done = []
    for promise in promises:
        made = day_number(promise.made_on)
        if promise.subject is Subject.SUPPLIES:
            row = state.supply_row(promise.device_id, promise.item)
            after = next((life for life in lives.get(row, ()) if life.found_on > made), None)
            if after is not None:
                found = EPOCH + timedelta(days=after.found_on)
                done.append(replace(promise, resolved_on=found, outcome=_days_lived(after, made)))
            elif today - made > _GIVE_UP_DAYS:
                done.append(replace(promise, resolved_on=as_of))
        elif today - made >= FAILURE_DAYS:
            failed = any(made < day <= made + FAILURE_DAYS for day in failures.get(promise.device_id, ()))
            done.append(replace(promise, resolved_on=as_of, outcome=float(failed)))
    return done


def _days_lived(life: EndedLife, made: int) -> float | None:
    """Return the days from `made` to the end of a supply; None where it was changed too early to tell.

    What a speaking gauge still showed, at the use of that day, is added when at least as many days had passed.
    """
    if life.end is not None:
        return max(0.0, life.end - made)
    watched = life.found_on - made
    return watched + life.days_left if life.days_left is not None and life.days_left <= watched else None


# --- scores -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    """One promise as numbers: its outcome (NaN: not shown) and the days for which it was watched."""

    promise: Promise
    outcome: float
    watched: float


def score_rows(tenant: TenantId, promises: Sequence[Promise], as_of: date) -> list[Score]:
    """Return the scorecard of `promises` (a window) as of a day."""
    judged = [item for promise in promises if (item := _judge(promise, as_of)) is not None]
    made = []
    for subject in Subject:
        mine = [item for item in judged if item.promise.subject is subject]
        for grouping, key in (
            ("all", lambda _: ""), ("gauge", lambda each: each.group), ("device_model", lambda each: each.device_model),
            ("model", lambda each: each.model),
        ):  # fmt: skip
            groups: dict[str, list[_Judged]] = {}
            for item in mine:
                groups.setdefault(key(item.promise), []).append(item)
            figures = _of_supplies if subject is Subject.SUPPLIES else _of_failures
            for name, rows in sorted(groups.items()):
                known = figures(rows)
                if known is not None:
                    made.append(
                        Score(
                            tenant=tenant, as_of=as_of, subject=subject, grouping=grouping, name=name, **known
                        )
                    )
    return made


def _judge(promise: Promise, as_of: date) -> _Judged | None:
    if promise.outcome is not None:
        return _Judged(promise, promise.outcome, promise.outcome)
    if promise.subject is not Subject.SUPPLIES:
        return None
    watched = ((promise.resolved_on or as_of) - promise.made_on).days
    return _Judged(promise, float("nan"), float(watched))


class _Figures(TypedDict):
    rows: int
    error: float | None
    bias: float | None
    coverage: float | None
    width: float | None


def _of_supplies(rows: Sequence[_Judged]) -> _Figures | None:
    """Return the figures of supplies; `rows` counts the promises that are decided. None while there is none."""
    low, mid, high = np.array([(row.promise.p10, row.promise.p50, row.promise.p90) for row in rows]).T
    truth = np.array([row.outcome for row in rows])
    known = ~np.isnan(truth)
    coverage, decided = held_share(low, high, np.array([row.watched for row in rows]), known)
    if coverage is None:
        return None
    wrong = mid[known] - truth[known]
    return {
        "rows": decided,
        "error": round(float(np.abs(wrong).mean()), 3) if len(wrong) else None,
        "bias": round(float(wrong.mean()), 3) if len(wrong) else None,
        "coverage": round(coverage, 4),
        "width": round(float((high - low).mean()), 3),
    }


def _of_failures(rows: Sequence[_Judged]) -> _Figures:
    chance = np.array([row.promise.p50 for row in rows])
    happened = np.array([row.outcome for row in rows]) > 0.5
    return {
        "rows": len(rows),
        "error": round(calibration_error(happened, chance, 10), 4),
        "bias": round(float(chance.mean() - happened.mean()), 4),
        "coverage": None,
        "width": None,
    }


def broken_promise(
    scores: Iterable[Score], model_id: str, least: float, most: float, rows: int
) -> Score | None:
    """Return the score of a supply model whose coverage has left its band with enough promises judged, or None."""
    for score in scores:
        if score.grouping == "model" and score.name == model_id and score.subject is Subject.SUPPLIES:
            outside = score.coverage is not None and not least <= score.coverage <= most
            return score if outside and score.rows >= rows else None
    return None


def failure_days(failures: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """Return the days of failures by device."""
    by_device: dict[str, list[int]] = {}
    for device_id, day in failures:
        by_device.setdefault(device_id, []).append(day)
    return by_device
