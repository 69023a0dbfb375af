"""The page of the policy: figures in force, versions, and "what if" over the past year with the switch behind it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import MANAGERS, Principal, services_of
from api.pages.charts import difference_bars
from api.pages.common import failure_of, renderer_of, words_of
from api.pages.forms import Form, checked
from api.pages.policy_view import (
    answer_of,
    area_of,
    by_area,
    changes_of,
    figure_rows,
    found_in,
    name_of,
    unit_of,
    version_rows,
)
from api.pages.supply_view import Words
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.policy_figures import FigureValue, PolicyChange, PolicyFigure, policy_note
from crm_core.domain.policy_replay import ReplayRequest, ReplayState

router = APIRouter(include_in_schema=False)

Manager = Annotated[Principal, Depends(MANAGERS)]
_ASKED: Final = ("forecasts.life.replacement_share", "forecasts.replenishment.raise_at_days_left")


@router.get("/policy")
def policy_page(
    request: Request,
    principal: Manager,
    q: Annotated[str, Query(max_length=64)] = "",
    other: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    """Show the figures in force, the versions, and the last replay; `other` names one more figure to ask about."""
    return _page(request, principal, q=q, other=other)


@router.post("/policy/replay")
def ask_replay(request: Request, principal: Manager, form: Form) -> Response:
    """Begin a replay with the figures of the form."""
    sent = checked(form, principal)
    services = services_of(request)
    try:
        services.replays.ask(principal.tenant, ReplayRequest(figures=_changes(request, sent)))
    except (Conflict, InvalidValue) as error:
        text, status = failure_of(request, principal, error)
        return _page(request, principal, failure=f"{text} {error}", status=status)
    return RedirectResponse("/policy#what-if", 303)


@router.post("/policy/apply")
def apply(request: Request, principal: Manager, form: Form) -> Response:
    """Let the figures of the last replay begin on a date."""
    sent = checked(form, principal)
    services = services_of(request)
    state = services.replays.newest(principal.tenant)
    try:
        change = PolicyChange(
            version=sent.get("name", ""),
            effective_from=_day(sent.get("from", "")),
            figures={} if state is None else state.request.figures,
        )
        made = services.policies.apply(change)
    except (Conflict, InvalidValue) as error:
        text, status = failure_of(request, principal, error)
        return _page(request, principal, failure=f"{text} {error}", status=status)
    with services.uow_factory() as uow:
        uow.trust.note(policy_note(principal.tenant, made))
        uow.commit()
    return RedirectResponse("/policy#versions", 303)


def _page(
    request: Request,
    principal: Principal,
    *,
    q: str = "",
    other: str = "",
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services, words = services_of(request), words_of(request, principal)
    figures = services.policies.figures()
    versions = services.policies.versions()
    everything = figure_rows(words, figures, versions)
    found = found_in(everything, q)
    state = services.replays.newest(principal.tenant)
    with services.read_uow_factory() as uow:
        history = version_rows(words, uow, principal.tenant, versions)
    wanted = {*_ASKED, other, *(state.request.figures if state is not None else ())}
    response = renderer_of(request).page(
        request,
        "policy.html",
        principal=principal,
        areas=by_area(found),
        changed=[row for row in everything if row.first],
        total=len(found),
        q=q,
        versions=history,
        asked=[_asked(words, each, state) for each in figures if each.key in wanted],
        compared=changes_of(words, state.report.changes) if state is not None and state.report else [],
        answer=answer_of(words, state),
        replay=state,
        rows=_rows(state),
        picture=_picture(state, words),
        failure=failure,
    )
    response.status_code = status
    if state is not None and not state.done:
        response.headers["Refresh"] = "3"
    return response


def _asked(words: Words, figure: PolicyFigure, state: ReplayState | None) -> dict[str, Any]:
    """Return one field of the question, filled with what was asked last."""
    other = state.request.figures.get(figure.key) if state is not None else None
    return {
        "figure": figure,
        "name": f"{area_of(words, figure.key)} › {name_of(words, figure.key)}",
        "unit": unit_of(words, figure.unit),
        "value": figure.value if other is None else other,
    }


def _rows(state: ReplayState | None) -> list[Any]:
    return [] if state is None or state.report is None else list(state.report.figures)


def _picture(state: ReplayState | None, words: Words) -> Markup:
    """Return the differences as shares of the present figures: what grows goes right, what shrinks goes left."""
    if state is None or state.report is None:
        return Markup("")
    shown = [each for each in state.report.figures if each.present.p50 > 0]
    bars = [
        (
            words.messages.text(words.language, f"policy.outcome.{each.name}"),
            each.difference.p10 / each.present.p50,
            each.difference.p50 / each.present.p50,
            each.difference.p90 / each.present.p50,
        )
        for each in shown
    ]
    return difference_bars(bars, words.messages.text(words.language, "policy.difference"))


def _changes(request: Request, sent: Mapping[str, str]) -> dict[str, FigureValue]:
    """Return the figures of the form that differ from those in force; each keeps the type that it has."""
    known = {each.key: each.value for each in services_of(request).policies.figures()}
    changes: dict[str, FigureValue] = {}
    for key, text in sent.items():
        present = known.get(key)
        if present is None or not text.strip():
            continue
        try:
            value = _value_like(present, text.strip())
        except ValueError:
            raise InvalidValue(f"{key}: {text[:40]!r} is no number") from None
        if value != present:
            changes[key] = value
    return changes


def _value_like(present: FigureValue, text: str) -> FigureValue:
    """Return what was typed as the type that the figure has; raises `ValueError`."""
    if isinstance(present, bool):
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else text
    return float(text) if isinstance(present, int | float) else text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidValue(f"{text[:20]!r} is no day such as 2027-01-01") from None
