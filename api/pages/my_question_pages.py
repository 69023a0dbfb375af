"""What a customer is asked and may look up: open questions about visits and months, and the public price list."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import CUSTOMERS, Principal, Public, services_of
from api.documents.money_papers import money
from api.pages.common import Key, failure_of, renderer_of
from api.pages.entry_pages import visitor_of
from api.pages.forms import Form, checked
from api.pages.insight_pages import answer_of
from api.problem import Problem
from crm_core.billing.charges import price_list
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.identity import CustomerId, WorkOrderId, work_order_number

router = APIRouter(include_in_schema=False)

Customer = Annotated[Principal, Depends(CUSTOMERS)]


@router.get("/my/questions")
def my_questions(request: Request, principal: Customer, thanks: bool = False) -> Response:
    """Show the questions that wait for the customer's answer."""
    return _page(request, principal, thanks=thanks)


@router.post("/my/questions/{survey_id}")
def answer(request: Request, principal: Customer, form: Form, survey_id: Key) -> Response:
    """Take an answer, once."""
    fields = checked(form, principal)
    surveys = services_of(request).customers.surveys
    try:
        surveys.answer_own(
            principal.tenant, CustomerId(principal.bound_to or ""), survey_id, answer_of(fields)
        )
    except NotFound:
        raise Problem("not_found") from None
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _page(request, principal, failure=failure, status=status)
    return RedirectResponse("/my/questions?thanks=1", 303)


def _page(
    request: Request,
    principal: Principal,
    *,
    thanks: bool = False,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    surveys = services_of(request).customers.surveys
    rows = surveys.waiting(principal.tenant, CustomerId(principal.bound_to or ""))
    return renderer_of(request).page(
        request,
        "my_questions.html",
        principal=principal,
        status=status,
        failure=failure,
        thanks=thanks,
        questions=[(row, *_asked(row.subject)) for row in rows],
    )


def _asked(subject: str) -> tuple[str, str]:
    """Return what a question is about: month or visit, and which one as people write it."""
    kind, _, what = subject.partition(":")
    return kind, work_order_number(WorkOrderId(int(what))) if kind == "visit" else what


@router.get("/prices")
def prices(
    request: Request, _public: Annotated[None, Depends(Public("published prices of repairs"))]
) -> Response:
    """Show the price list of repairs in force; anybody may read it (requirement 61)."""
    services, renderer = services_of(request), renderer_of(request)
    principal = visitor_of(request)
    language, policy = renderer.language(request, principal), services.policy
    rows = [
        (services.messages.text(language, f"billing.item.{row.item}"), row)
        for row in price_list(policy.billing)
    ]
    return renderer.page(
        request, "prices.html", principal=principal, rows=rows, since=policy.effective_from, money=money
    )
