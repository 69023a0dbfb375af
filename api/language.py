"""In which language to answer: a page by the visitor's choice, the API by Accept-Language."""

from typing import Final

from starlette.requests import Request

from api.access import LANGUAGE_COOKIE
from api.problem import api_language
from crm_core.domain.messages import LANGUAGES

THEMES: Final = ("auto", "light", "dark")


def language_of(request: Request) -> str:
    """Return the API answer's language."""
    return api_language(request.headers.get("Accept-Language"))


def page_language(request: Request, default: str, person: str | None = None) -> str:
    """Return the page's language: the switch, then the person's own, then the browser's wish, then the default."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    if person in LANGUAGES:
        return person
    wish = request.headers.get("Accept-Language")
    return api_language(wish) if wish else default
