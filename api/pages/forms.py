"""Forms of the pages: read with a bound on their size, and believed only with the session's CSRF token."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.requests import Request

from api.access import Principal, check_csrf
from api.problem import Problem
from api.schemas.base import clean_text
from crm_core.domain.errors import InvalidValue

_MAX_FIELDS: Final = 30
Choice = TypeVar("Choice", bound=StrEnum)


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


def amount_of(text: str, what: str = "amount") -> Decimal:
    """Return an amount from a form, or raise `InvalidValue`; a thousands separator may stand."""
    plain = text.strip().replace(",", "")
    if not (plain.replace(".", "", 1).isdigit() and plain.isascii() and len(plain) <= 16):
        raise InvalidValue(f"{what}: a number such as 120.00")
    return Decimal(plain)


def count_of(text: str, what: str = "number") -> int:
    """Return a whole number from a form, or raise `InvalidValue`."""
    plain = text.strip().replace(",", "")
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 9):
        raise InvalidValue(f"{what}: a whole number such as 12")
    return int(plain)


def day_of(text: str, what: str = "day") -> date:
    """Return a day from a form, or raise `InvalidValue`."""
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        raise InvalidValue(f"{what}: a day such as 2026-05-31") from None


def choice_of(kind: type[Choice], text: str, what: str = "choice") -> Choice:
    """Return a word of a closed list from a form, or raise `InvalidValue`."""
    try:
        return kind(text)
    except ValueError:
        raise InvalidValue(f"{what}: choose one of the list") from None


def local_path(text: str | None, default: str = "/") -> str:
    """Return `text` if it is a path of ours; never another site's address."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")) or len(text) > 500:
        return default
    return text if text.isprintable() and "\\" not in text else default
