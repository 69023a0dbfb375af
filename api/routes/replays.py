"""What if: the past year under other figures. A replay runs beside the requests; its answer is looked up by id."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import MANAGERS, Principal, services_of
from api.direct_route import DirectRoute
from api.schemas.replay import PolicyReplayInput, ReplayBody
from crm_core.domain.policy_replay import ReplayRequest

router = APIRouter(tags=["policy"], route_class=DirectRoute)

ReplayKey = Annotated[str, Path(pattern=r"^r-[0-9a-f]{16}$")]


@router.post("/policy/replays", summary="Ask what other figures would have done", status_code=202)
def ask(
    request: Request, principal: Annotated[Principal, Depends(MANAGERS)], body: PolicyReplayInput
) -> ReplayBody:
    """Begin a replay of the past year; 409 while another one runs. Look it up until `done`."""
    wanted = ReplayRequest(
        figures=dict(body.figures), replicates=body.replicates, seed=body.seed, days=body.days
    )
    return ReplayBody.of(services_of(request).replays.ask(principal.tenant, wanted))


@router.get("/policy/replays/{replay_id}", summary="A replay and its answer")
def look(
    request: Request, principal: Annotated[Principal, Depends(MANAGERS)], replay_id: ReplayKey
) -> ReplayBody:
    """Return how far a replay is, and its figures when it is done."""
    return ReplayBody.of(services_of(request).replays.look(principal.tenant, replay_id))
