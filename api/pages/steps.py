"""Forms of money as data, and one way to send them: look at what would happen first, then confirm.

A form that is refused is shown again where it was filled in, with its fields and the reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import Principal
from api.pages.common import renderer_of, words_of
from api.problem import problem_of
from crm_core.domain.errors import Conflict, InvalidValue, NotFound

Rows = Sequence[tuple[str, str]]  # what a step does, as (label, words)
Act = Callable[[bool], Rows]  # does a step; True: everything but the writing
_OWN: Final = ("csrf", "confirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field; its label is the text `money.field.<name>`. `choices` are (value, words)."""

    name: str
    kind: Literal["text", "amount", "day", "count", "choice", "many"] = "text"
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCard:
    """One step that can be taken; title and explanation are the texts `money.form.<key>` and `money.hint.<key>`."""

    key: str
    action: str
    fields: tuple[FormField, ...] = ()
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A form that was refused: which one, what was in it, why, and the status of the answer."""

    form: str
    sent: Mapping[str, str]
    reason: str
    status: int


def look_or_do(
    request: Request,
    principal: Principal,
    form: Mapping[str, str],
    *,
    key: str,
    act: Act,
    back: str,
    again: Callable[[Refusal], Response],
) -> Response:
    """Show what the step would do, or do it when the form is confirmed and go `back`."""
    confirmed = form.get("confirmed") == "yes"
    try:
        rows = act(not confirmed)
    except (Conflict, InvalidValue, NotFound) as error:
        refused = words_of(request, principal).text("money.page.refused")
        status = problem_of(error).status
        return again(Refusal(form=key, sent=form, reason=f"{refused} {error}", status=status))
    if confirmed:
        return RedirectResponse(back, 303)
    return renderer_of(request).page(
        request,
        "confirm.html",
        principal=principal,
        key=key,
        rows=rows,
        back=back,
        action=request.url.path,
        kept=[(name, value) for name, value in form.items() if name not in _OWN],
    )
