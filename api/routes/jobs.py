"""The recurring jobs of the supervisor: what runs when, how the last run ended, run one now."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import ADMINS, MANAGERS, Principal, services_of
from api.direct_route import DirectRoute
from api.recurring_jobs import JobInfo
from api.schemas.base import Instant, Output, Page

router = APIRouter(tags=["jobs"], route_class=DirectRoute)

JobName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


class JobBody(Output):
    """One job. `last_error` is None when the last run went well."""

    name: str
    schedule: str
    next_run_at: Instant | None
    last_run_at: Instant | None
    last_seconds: float | None
    last_error: str | None
    running: bool
    runs: int

    @classmethod
    def of(cls, job: JobInfo) -> "JobBody":
        return cls.model_validate(job)


@router.get("/jobs", summary="Jobs")
def jobs(request: Request, _principal: Annotated[Principal, Depends(MANAGERS)]) -> Page[JobBody]:
    """Return all recurring jobs with their schedule and last run."""
    return Page(items=[JobBody.of(job) for job in services_of(request).jobs.list()])


@router.post("/jobs/{name}/run", summary="Run a job now", status_code=202)
def run_job(request: Request, _principal: Annotated[Principal, Depends(ADMINS)], name: JobName) -> JobBody:
    """Ask for one run as soon as possible; a job never runs twice at once."""
    return JobBody.of(services_of(request).jobs.run(name))
