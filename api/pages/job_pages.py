"""What the QR code of a work order opens: a button, and behind it the job."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Public, check_same_origin
from api.job_links import check_link, open_job
from api.pages.common import renderer_of
from api.sessions import set_session
from crm_core.domain.identity import WorkOrderId, work_order_number

router = APIRouter(include_in_schema=False)

LinkToken = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{20,100}$")]


@router.get("/go/{token}")
def show(
    request: Request,
    token: LinkToken,
    _rule: Annotated[None, Depends(Public("the link is the key, for one job and once"))],
) -> Response:
    """Show which job the link opens; looking does not use it up."""
    key = check_link(request, token)
    return renderer_of(request).page(
        request, "job_link.html", number=work_order_number(WorkOrderId(key)), token=token
    )


@router.post("/go/{token}")
def use(
    request: Request,
    token: LinkToken,
    _rule: Annotated[None, Depends(Public("the link is the key, for one job and once"))],
) -> Response:
    """Use the link up and open its job."""
    check_same_origin(request)
    session, key = open_job(request, token)
    response = RedirectResponse(f"/work-orders/{key}", 303)
    set_session(request, response, session)
    return response
