"""Messages that could not be understood, for administrators: look at them, mend the cause, send them through again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request

from api.access import ADMINS, Principal, services_of
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.schemas.base import Page
from api.schemas.office import DeadLetterBody, DeadLetterDetail, LettersInput, ReplayBody, ReplayRow
from api.services import DeadLetters

router = APIRouter(tags=["dead letters"], route_class=DirectRoute)


def _letters(request: Request, principal: Principal) -> DeadLetters:
    """Return the letters of this installation; they know no tenant, so that only its own administrators see them."""
    services = services_of(request)
    if principal.tenant != services.settings.tenant:
        raise Problem("not_found")
    return services.dead_letters


@router.get("/dead-letters", summary="Refused messages")
def dead_letters(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[DeadLetterBody]:
    """Return messages that were refused, newest first, with the reason."""
    rows = _letters(request, principal).list(limit + 1, decode_number(cursor))
    following = encode_cursor(str(rows[limit - 1].letter_id)) if len(rows) > limit else None
    return Page(items=[DeadLetterBody.of(each) for each in rows[:limit]], next_cursor=following)


@router.get("/dead-letters/{letter_id}", summary="One refused message")
def one_dead_letter(
    request: Request,
    principal: Annotated[Principal, Depends(ADMINS)],
    letter_id: Annotated[int, Path(ge=1, le=2**53)],
) -> DeadLetterDetail:
    """Return one refused message with its text."""
    letter = _letters(request, principal).get(letter_id)
    if letter is None:
        raise Problem("not_found")
    return DeadLetterDetail.full(letter)


@router.post("/dead-letters/replay", summary="Send refused messages through again")
def replay(
    request: Request, principal: Annotated[Principal, Depends(ADMINS)], body: LettersInput
) -> ReplayBody:
    """Land messages whose cause was mended; those that are refused again stay, with the reason of each."""
    results = _letters(request, principal).replay(body.letter_ids)
    return ReplayBody(results=[ReplayRow.model_validate(each) for each in results])
