"""The figures of the business: what is in force, what changed when, and the switch that applies a change from a date."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import MANAGERS, OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.problem import Problem
from api.schemas.base import Page
from api.schemas.policy import FigureBody, PolicyChangeInput, PolicyVersionBody
from crm_core.domain.policy_figures import PolicyChange, policy_note

router = APIRouter(tags=["policy"], route_class=DirectRoute)

FigureKey = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]*(\.[A-Za-z0-9_]+)+$", max_length=128)]
OnDay = Annotated[date | None, Query(alias="on", description="the day, today unless told")]


@router.get("/policy/figures", summary="Figures in force")
def figures(
    request: Request, _principal: Annotated[Principal, Depends(OFFICE_READ)], on: OnDay = None
) -> Page[FigureBody]:
    """Return all figures in force on a day, by key, with unit, requirement and note."""
    return Page(items=[FigureBody.of(each) for each in services_of(request).policies.figures(on)])


@router.get("/policy/figures/{key}", summary="What a figure is")
def figure(
    request: Request,
    _principal: Annotated[Principal, Depends(OFFICE_READ)],
    key: FigureKey,
    on: OnDay = None,
) -> FigureBody:
    """Return one figure with the version that brought its value."""
    for each in services_of(request).policies.figures(on):
        if each.key == key:
            return FigureBody.of(each)
    raise Problem("not_found")


@router.get("/policy/versions", summary="Versions of the policy")
def versions(
    request: Request, _principal: Annotated[Principal, Depends(OFFICE_READ)]
) -> Page[PolicyVersionBody]:
    """Return all versions, the oldest first, with what each changed."""
    return Page(items=[PolicyVersionBody.of(each) for each in services_of(request).policies.versions()])


@router.post("/policy/versions", summary="Change figures from a date", status_code=201)
def change(
    request: Request,
    principal: Annotated[Principal, Depends(MANAGERS)],
    body: PolicyChangeInput,
    dry_run: Annotated[bool, Query(description="check everything, write nothing")] = False,
) -> PolicyVersionBody:
    """Let figures change from a date on; 422 names a figure that is unknown or impossible."""
    services = services_of(request)
    wanted = PolicyChange(
        version=body.version,
        effective_from=body.effective_from,
        figures=dict(body.figures),
        note=body.note,
    )
    made = services.policies.apply(wanted, dry_run=dry_run)
    if not dry_run:
        with services.uow_factory() as uow:
            uow.trust.note(policy_note(principal.tenant, made))
            uow.commit()
    return PolicyVersionBody.of(made)
