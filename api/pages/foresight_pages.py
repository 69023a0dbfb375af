"""Pages of foresight: how good the forecasts were, what is odd in the data, and what comes in the next months."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal, services_of
from api.pages import foresight_view
from api.pages.common import Dispatchers, Key, Office, failure_of, renderer_of, words_of
from api.pages.forms import Form, checked, version_of
from api.routes.foresight import churn_in_sight, findings_in_sight, idle_in_sight, mark_seen
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.quality import FindingState, OutlookKind

router = APIRouter(include_in_schema=False)

_ROWS = 200


@router.get("/forecast-quality")
def forecast_quality_page(request: Request, principal: Office) -> Response:
    """Show what became of forecasts: coverage over time, calibration, errors by gauge and model, and the models."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        context = foresight_view.quality_context(
            uow, principal.tenant, words, services.clock.now().date(), services.policy.quality
        )
    return renderer_of(request).page(request, "forecast_quality.html", principal=principal, **context)


@router.get("/outlook")
def outlook_page(request: Request, principal: Office) -> Response:
    """Show demand by month, idle devices and customers who may leave."""
    services, words = services_of(request), words_of(request, principal)
    with services.read_uow_factory() as uow:
        demand = uow.quality.outlook(principal.tenant, OutlookKind.DEMAND)
        _, idle = idle_in_sight(principal, uow)
        _, churn = churn_in_sight(principal, uow, services.messages, words.language)
    context = foresight_view.outlook_context(demand, words)
    return renderer_of(request).page(
        request, "outlook.html", principal=principal, idle=idle[:_ROWS], churn=churn[:_ROWS], **context
    )


@router.get("/findings")
def findings_page(
    request: Request, principal: Office, show: Annotated[str, Query(max_length=8)] = "open"
) -> Response:
    """List what is odd in the data."""
    return _findings_page(request, principal, show)


def _findings_page(
    request: Request, principal: Principal, show: str, failure: str | None = None, status: int = 200
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    state = next((each for each in FindingState if each.value == show), FindingState.OPEN)
    with services.read_uow_factory() as uow:
        rows = findings_in_sight(principal, uow, state=state)
        names = {
            row.device_id: found.model_name
            for row in rows[:_ROWS]
            if row.device_id and (found := uow.devices.find(principal.tenant, row.device_id))
        }
    context = foresight_view.findings_context(rows[:_ROWS], words, names)
    return renderer_of(request).page(
        request, "findings.html", principal=principal, show=state.value, failure=failure, status=status,
        may_answer=principal.role in foresight_view.ANSWERING, **context,
    )  # fmt: skip


@router.post("/findings/{finding_id}/seen")
def seen(request: Request, principal: Dispatchers, form: Form, finding_id: Key) -> Response:
    """Mark a finding as looked at."""
    services, sent = services_of(request), checked(form, principal)
    try:
        with services.uow_factory() as uow:
            mark_seen(principal, uow, finding_id, version_of(sent), sent.get("note", "")[:500])
            uow.commit()
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _findings_page(request, principal, "open", failure, status)
    return RedirectResponse("/findings", 303)
