"""Bodies about replays: what shall be looked at, how far it is, and the answer with intervals."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Output, clean_text
from crm_core.domain.forecast import Interval
from crm_core.domain.policy_replay import ReplayedFigure, ReplayState


class PolicyReplayInput(Input):
    """Figures with other values; the same seed gives the same answer. At least 30 replicates, at most 366 days."""

    figures: Annotated[
        dict[
            Annotated[str, Field(min_length=3, max_length=128)],
            bool | int | float | Annotated[str, Field(max_length=200), AfterValidator(clean_text)],
        ],
        Field(max_length=100),
    ] = Field(default_factory=dict)
    replicates: Annotated[int, Field(ge=30, le=500)] = 30
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    days: Annotated[int, Field(ge=28, le=366)] = 365


class Quantiles(Output):
    """P10, P50 and P90 over the replicates."""

    p10: float
    p50: float
    p90: float

    @classmethod
    def of(cls, interval: Interval) -> "Quantiles":
        return cls(p10=interval.p10, p50=interval.p50, p90=interval.p90)


class ReplayedFigureBody(Output):
    """One figure of the year. `difference` is of replicate pairs with the same chance."""

    name: str
    unit: str
    recorded: float | None
    present: Quantiles
    changed: Quantiles
    difference: Quantiles

    @classmethod
    def of(cls, figure: ReplayedFigure) -> "ReplayedFigureBody":
        return cls(
            name=figure.name,
            unit=figure.unit,
            recorded=figure.recorded,
            present=Quantiles.of(figure.present),
            changed=Quantiles.of(figure.changed),
            difference=Quantiles.of(figure.difference),
        )


class ReplayBody(Output):
    """A replay: `progress` from 0 to 1; `figures` when it is done, `error` when it cannot be."""

    replay_id: str
    done: bool
    progress: float
    error: str | None
    seed: int
    replicates: int
    first_day: date | None
    last_day: date | None
    devices: int | None
    policy_version: str | None
    figures: list[ReplayedFigureBody]

    @classmethod
    def of(cls, state: ReplayState) -> "ReplayBody":
        report = state.report
        return cls(
            replay_id=state.replay_id,
            done=state.done,
            progress=round(state.progress, 3),
            error=state.error,
            seed=state.request.seed,
            replicates=state.request.replicates,
            first_day=report.first_day if report else None,
            last_day=report.last_day if report else None,
            devices=report.devices if report else None,
            policy_version=report.policy_version if report else None,
            figures=[ReplayedFigureBody.of(each) for each in report.figures] if report else [],
        )
