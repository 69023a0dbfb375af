"""Cursors: the position after which the next page begins, opaque to clients and stable under inserts.

A cursor names the last row that was seen, not a count of rows, so that a new row never shifts a page.
"""

import base64
import binascii
from typing import Annotated

from fastapi import Query

from api.problem import Problem

Limit = Annotated[int, Query(ge=1, le=200, description="rows on a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[A-Za-z0-9_-]+$", description="`next_cursor` of the page before"),
]


def encode_cursor(position: str) -> str:
    """Return the cursor of a position."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """Return the position, or raise `invalid_input` for a text that no page gave out."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _bad_cursor() from None


def decode_number(cursor: str | None) -> int | None:
    """Return the position of a list that is ordered by number."""
    position = decode_cursor(cursor)
    if position is None:
        return None
    if not (position.isascii() and position.isdigit() and len(position) <= 18):
        raise _bad_cursor()
    return int(position)


def _bad_cursor() -> Problem:
    """Return the problem for a cursor that cannot be read."""
    error = {"pointer": "/query/cursor", "code": "cursor", "message": "not a cursor of this list"}
    return Problem("invalid_input", errors=[error])
