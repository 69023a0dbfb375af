"""The page of lists in and out: a file is tried first, its columns and wrong rows are shown, then it is imported.

A small file that was tried comes back inside the form, so that nobody has to choose it again.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from api.access import WHOLE_FIRM, Principal, check_csrf, services_of
from api.pages.common import renderer_of, words_of
from api.problem import Problem, problem_of
from api.schemas.base import clean_text
from crm_core.domain.errors import DrumbeatError, InvalidValue
from crm_core.exchange.importing import ImportReport
from crm_core.exchange.sheets import MOST_BYTES

router = APIRouter(include_in_schema=False)

Manager = Annotated[Principal, Depends(WHOLE_FIRM)]
#: How large a body the form may have: the largest file and its fields.
MOST_FORM_BYTES: Final = MOST_BYTES + 1024 * 1024
_MOST_KEPT: Final = 2 * 1024 * 1024
_MOST_FIELDS: Final = 60
_COLUMN: Final = "column."


@dataclass(frozen=True, slots=True)
class Upload:
    """A sent form: its fields, and the file in it (empty when none was chosen)."""

    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


async def read_upload(request: Request) -> Upload:
    """Return fields and file of a form in multipart encoding; the body's size is bounded by the application."""
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        raise Problem("unsupported_media_type")
    fields: dict[str, str] = {}
    body = b""
    try:
        most = _MOST_KEPT * 3 // 2
        async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=most) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    body = await value.read()
                else:
                    fields[name] = value if name == "kept" else clean_text(value)
    except (MultiPartException, HTTPException, ValueError):
        raise Problem("bad_request") from None
    return Upload(fields, body or _kept(fields.get("kept", "")))


Sent = Annotated[Upload, Depends(read_upload)]


@router.get("/import")
def exchange_page(request: Request, principal: Manager) -> Response:
    """Show what can come in and go out."""
    return _page(request, principal, Upload())


@router.post("/import")
async def take_in(request: Request, principal: Manager, sent: Sent) -> Response:
    """Try a file, or import it."""
    check_csrf(principal, sent.fields.get("csrf", ""))
    return await run_in_threadpool(_taken, request, principal, sent)


def _taken(request: Request, principal: Principal, sent: Upload) -> Response:
    desk, words = services_of(request).exchange, words_of(request, principal)
    system, _, kind = sent.fields.get("kind", "").partition(":")
    columns = {
        name.removeprefix(_COLUMN): value
        for name, value in sent.fields.items()
        if name.startswith(_COLUMN) and value
    }
    found: tuple[list[str], dict[str, str | None]] = ([], {})
    try:
        if not sent.body:
            raise InvalidValue(words.text("money.page.no_file"))
        present, by_field = desk.look(system, kind, sent.body, columns)
        found = (list(present), dict(by_field))
        report = desk.take_in(
            principal.tenant,
            system,
            kind,
            sent.body,
            dry_run=sent.fields.get("act") != "write",
            skip_bad_rows=sent.fields.get("skip") == "yes",
            columns=columns,
        )
    except DrumbeatError as error:
        return _page(
            request, principal, sent, found=found, failure=str(error), status=problem_of(error).status
        )
    return _page(request, principal, sent, found=found, report=report)


def _page(
    request: Request,
    principal: Principal,
    sent: Upload,
    *,
    found: tuple[list[str], dict[str, str | None]] | None = None,
    report: ImportReport | None = None,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    desk = services_of(request).exchange
    columns, by_field = found or ([], {})
    again = report is not None and report.dry_run and bool(sent.body) and len(sent.body) <= _MOST_KEPT
    return renderer_of(request).page(
        request,
        "import.html",
        principal=principal,
        status=status,
        failure=failure,
        report=report,
        kinds=[f"{each.system}:{each.kind}" for each in desk.imports()],
        chosen=sent.fields.get("kind", "drumbeat:customers"),
        skip=sent.fields.get("skip") == "yes",
        columns=columns,
        by_field=by_field,
        unused=[each for each in columns if each not in by_field.values()],
        kept=base64.b64encode(sent.body).decode() if again else "",
        exports=[(each.system, each.object_name) for each in desk.exports()],
    )


def _kept(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("bad_request") from None
