"""Pages of insight: segments with dry runs, outcome figures, and the question that a link opens without sign-in."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import CARE, MANAGERS, SUPERVISORS, Principal, Public, check_same_origin, services_of
from api.pages import care_view
from api.pages.common import failure_of, renderer_of, words_of
from api.pages.forms import Form, checked
from api.problem import Problem
from api.routes.customers import customers_in_sight
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.relations.classifier import Classification
from crm_core.relations.surveys import Answer

router = APIRouter(include_in_schema=False)

Carer = Annotated[Principal, Depends(CARE)]
Manager = Annotated[Principal, Depends(MANAGERS)]
Supervisor = Annotated[Principal, Depends(SUPERVISORS)]
SegmentKey = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{8,100}$")]
MonthWord = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$")]
_LINK = Public("the link of a question to a customer is the key to it")


@router.get("/segments")
def segments_page(
    request: Request,
    principal: Carer,
    threshold: Annotated[str, Query(max_length=100)] = "",
    value: Annotated[str, Query(max_length=20)] = "",
    axis: Annotated[str, Query(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = "source",
) -> Response:
    """Show segments, and who would move with another threshold."""
    services, words = services_of(request), words_of(request, principal)
    found: Classification | None = None
    failure = None
    if threshold:
        try:
            found = services.customers.classifier.dry_run(principal.tenant, {threshold: _number(value)})
        except InvalidValue as error:
            failure = f"{failure_of(request, principal, error)[0]} {error}"
    with services.read_uow_factory() as uow:
        customers = customers_in_sight(principal, uow)
        context = care_view.segments_context(services, uow, customers, words)
        seen = frozenset(each.customer_id for each in customers)
        axes = [each.name for each in services.policy.relations.axes]
        axis = axis if axis in axes else "source"
        brings = services.customers.class_report.by_class(uow, principal.tenant, axis, seen)
    return renderer_of(request).page(
        request,
        "segments.html",
        principal=principal,
        found=found,
        moves=[move for move in found.moves if move.customer_id in seen] if found else [],
        threshold=threshold,
        value=value,
        failure=failure,
        axis=axis,
        axes=axes,
        brings=brings,
        word=lambda family, text: care_view.word(words, family, str(text)),
        may_offer=principal.role in SUPERVISORS.roles,
        **context,
    )


@router.post("/segments/{segment}/offers")
def offer(request: Request, principal: Supervisor, form: Form, segment: SegmentKey) -> Response:
    """Bring a segment its offer: a task for each customer who agreed to offers."""
    checked(form, principal)
    services_of(request).customers.offers.make(principal.tenant, segment, by=principal.name)
    return RedirectResponse("/tasks?everybody=true", 303)


@router.get("/outcomes")
def outcomes_page(
    request: Request, principal: Manager, month: MonthWord = "", baseline: MonthWord = ""
) -> Response:
    """Show outcome figures, satisfaction and scorecards of a month."""
    services, words = services_of(request), words_of(request, principal)
    customers = services.customers
    first, before = care_view.months_of(customers.requests.today(), month, baseline)
    with services.read_uow_factory() as uow:
        names = {each.customer_id: each.name for each in uow.customers.all(principal.tenant)}
    return renderer_of(request).page(
        request,
        "outcomes.html",
        principal=principal,
        month=f"{first:%Y-%m}",
        baseline=f"{before:%Y-%m}",
        figures=customers.outcomes.compare(principal.tenant, first, before),
        classes=customers.surveys.by_class(principal.tenant, "tier", first),
        answers=customers.surveys.compared(principal.tenant, first),
        scorecards=customers.scorecards.of_month(principal.tenant, first),
        names=names,
        word=lambda family, value: care_view.word(words, family, str(value)),
    )


# --- the link of a question ---


@router.get("/survey/{token}")
def survey_page(request: Request, token: Token, _rule: Annotated[None, Depends(_LINK)]) -> Response:
    """Show the question of a link."""
    return _survey_page(request, token)


@router.post("/survey/{token}")
def answer(request: Request, form: Form, token: Token, _rule: Annotated[None, Depends(_LINK)]) -> Response:
    """Take the answer of a link, once."""
    check_same_origin(request)
    services = services_of(request)
    try:
        services.customers.surveys.answer(services.settings.tenant, token, answer_of(form))
    except NotFound:
        raise Problem("not_found") from None
    return _survey_page(request, token)


def _survey_page(request: Request, token: str) -> Response:
    services = services_of(request)
    survey = services.customers.surveys.opened(services.settings.tenant, token)
    kind, _, what = survey.subject.partition(":")
    return renderer_of(request).page(
        request, "survey.html", survey=survey, kind=kind, what=what, action=f"/survey/{token}"
    )


def answer_of(form: dict[str, str]) -> Answer:
    """Return what a form of a question says, or raise `InvalidValue`."""
    choices = {"yes": True, "no": False}
    return Answer(
        satisfaction=int(_number(form.get("satisfaction", ""))),
        contacted_in_time=choices.get(form.get("contacted", "")),
        fixed_first_time=choices.get(form.get("fixed", "")),
        comment=form.get("comment", "")[:2000],
    )


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise InvalidValue("a number is needed") from None
    if not number.is_finite() or abs(number) > 10**9:
        raise InvalidValue("a number is needed")
    return number
