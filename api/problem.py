"""Errors as the world sees them: `application/problem+json` (RFC 9457) with stable codes and texts in zh and en.

Only this module turns the product's exceptions into HTTP answers. A browser that asks for a page gets a page.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm_core.domain.errors import (
    Conflict,
    DrumbeatError,
    IllegalTransition,
    InvalidValue,
    NotFound,
    StoreUnavailable,
)
from crm_core.domain.messages import Messages

MEDIA_TYPE: Final = "application/problem+json"

#: code -> HTTP status. The codes are stable: clients may branch on them, never on titles.
STATUS_BY_CODE: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "unauthenticated": 401,
    "wrong_credentials": 401,
    "forbidden": 403,
    "csrf": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "illegal_transition": 409,
    "in_flight": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_input": 422,
    "key_reused": 422,
    "precondition_required": 428,
    "too_many_attempts": 429,
    "too_many_requests": 429,
    "internal": 500,
    "unavailable": 503,
}

_CODE_BY_STATUS: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_input",
    428: "precondition_required",
    429: "too_many_requests",
    503: "unavailable",
}


class Problem(Exception):
    """An answer that is not what was asked for. `detail` says what to do, where the code's text is not enough."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS_BY_CODE[self.code]


def problem_of(error: DrumbeatError) -> Problem:
    """Return the answer for an exception of the product.

    `NotFound` never repeats the message: an absent object and another tenant's or region's one answer alike.
    """
    match error:
        case NotFound():
            return Problem("not_found")
        case IllegalTransition():
            return Problem("illegal_transition", str(error))
        case Conflict():
            return Problem("conflict", str(error))
        case InvalidValue():
            return Problem("invalid_input", str(error))
        case StoreUnavailable():
            return Problem("unavailable", headers={"Retry-After": "5"})
        case _:
            return Problem("internal")


def problem_for_status(status: int) -> Problem:
    """Return the answer for a status that the framework chose (unknown route, wrong method, too large body)."""
    return Problem(_CODE_BY_STATUS.get(status, "internal" if status >= 500 else "bad_request"))


def field_errors(errors: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], ...]:
    """Return pydantic's errors as JSON pointers with a code and a message; the offending value is not echoed."""
    return tuple(
        {
            "pointer": "/" + "/".join(str(part) for part in error.get("loc", ())),
            "code": str(error.get("type", "invalid")),
            "message": str(error.get("msg", "")).encode("utf-8", "replace").decode()[:200],
        }
        for error in errors[:50]
    )


def body_of(
    problem: Problem, messages: Messages, language: str, instance: str, request_id: str
) -> dict[str, Any]:
    """Return the problem as RFC 9457 members plus `code`, `request_id` and `errors`."""
    body: dict[str, Any] = {
        "type": f"/docs#problem-{problem.code}",
        "title": messages.text(language, f"api.problem.{problem.code}"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail or messages.text(language, f"api.advice.{problem.code}"),
        "instance": instance,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return body


def api_language(accept_language: str | None) -> str:
    """Return `zh-CN` if the header prefers Chinese over English, else `en`; quality values are honoured."""
    best, best_quality = "en", 0.0
    for item in (accept_language or "")[:200].split(","):
        name, _, parameter = item.strip().partition(";")
        quality = _quality(parameter)
        language = (
            "zh-CN" if name.lower().startswith("zh") else "en" if name.lower().startswith("en") else None
        )
        if language and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameter: str) -> float:
    """Return the q value of a header item; 1 when absent, 0 when it is no number."""
    text = parameter.strip().removeprefix("q=")
    if not text:
        return 1.0
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def problem_headers(problem: Problem) -> dict[str, str]:
    """Return the headers of an answer, with the challenge that 401 must carry (RFC 9110)."""
    headers = dict(problem.headers)
    if problem.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="drumbeat"')
    return headers
