"""Forms of the pages: read with a bound on their size, and believed only with the session's CSRF token."""

from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.requests import Request

from api.access import Principal, check_csrf
from api.problem import Problem
from api.schemas.base import clean_text

_MAX_FIELDS: Final = 30


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form in URL encoding; the body's size is bounded by the application."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        raise Problem("unsupported_media_type")
    try:
        body = (await request.body()).decode("ascii")
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
        return {name: clean_text(value) for name, value in pairs}
    except ValueError:
        raise Problem("bad_request") from None


Form = Annotated[dict[str, str], Depends(read_form)]


def checked(form: dict[str, str], principal: Principal) -> dict[str, str]:
    """Return the form if it carries the CSRF token of the session."""
    check_csrf(principal, form.get("csrf", ""))
    return form


def version_of(form: dict[str, str]) -> int:
    """Return the version of the record that the form was made from."""
    text = form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Problem("invalid_input")
    return int(text)


def local_path(text: str | None, default: str = "/") -> str:
    """Return `text` if it is a path of ours; never another site's address."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")) or len(text) > 500:
        return default
    return text if text.isprintable() and "\\" not in text else default
