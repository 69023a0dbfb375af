"""Changes that collide with nothing: ETag and If-Match on versioned records (RFC 9110, 13.1.1)."""

from starlette.requests import Request
from starlette.responses import Response

from api.problem import Problem


def etag_of(version: int) -> str:
    """Return the entity tag of a record's version."""
    return f'"v{version}"'


def set_etag(response: Response, version: int) -> None:
    """Say which version the body shows."""
    response.headers["ETag"] = etag_of(version)


def check_if_match(request: Request, version: int) -> None:
    """Raise 428 when the client does not say which version it changes, 412 when that version is not the present one."""
    sent = request.headers.get("If-Match")
    if sent is None:
        raise Problem("precondition_required")
    tags = {tag.strip().removeprefix("W/") for tag in sent[:500].split(",")}
    if "*" not in tags and etag_of(version) not in tags:
        raise Problem("precondition_failed", headers={"ETag": etag_of(version)})


def seen_version(request: Request, version: int) -> int | None:
    """Return the version that a client says it saw, None when it says nothing; 412 when that is not the present one."""
    if "If-Match" not in request.headers:
        return None
    check_if_match(request, version)
    return version
