"""A list as its reader wants it: chosen fields of each row, or all rows as a table for a spreadsheet.

Every list of the API gets both from here, in front of the route's own function, so that a new list has them on its
first day. A table holds what the pages would have held, one after the other: the function is asked again with the
cursor of the page before, so that nobody reads more by it than by JSON.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec
from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from api.documents.tables import CSV_TYPE, XLSX_TYPE, Cell, as_csv, as_xlsx
from api.problem import Problem

FIELDS: Final = "fields"
FORMAT: Final = "format"
NEXT_HEADER: Final = "X-Next-Cursor"
_MOST: Final = 100_000  # rows of a table
_PAGE: Final = 200  # rows asked for at once
_HOLDERS: Final = ("items", "rows")  # what a body calls its list
_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,63}$"
Fields = Annotated[
    str | None,
    Query(
        pattern=_PATTERN,
        max_length=1000,
        description="only these fields of the object, or of each row of a list, separated by commas",
    ),
]
Format = Annotated[
    Literal["json", "csv", "xlsx"],
    Query(description="csv and xlsx: the whole list as a table, at most 100,000 rows"),
]
#: What the document says of the tables beside the JSON answer.
TABLES: Final[Mapping[str, Any]] = {
    "text/csv": {"schema": {"type": "string"}},
    XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}},
}
Ask = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a function returns: `answer` as it is declared, the model of its rows, and the field that holds them.

    `row` is None for an object that is no list; `holder` is None for a list without an object around it.
    """

    answer: Any
    model: type[BaseModel] | None
    row: type[BaseModel] | None = None
    holder: str | None = None

    def rows(self, made: Any) -> Sequence[BaseModel]:
        """Return the rows of an answer."""
        found: Sequence[BaseModel] = getattr(made, self.holder) if self.holder else made
        return found


def shape_of(returned: Any) -> Shape | None:
    """Return the shape of a declared answer that is built from our models, None for anything else."""
    if get_origin(returned) is list and _is_model(get_args(returned)[0]):
        return Shape(returned, None, get_args(returned)[0])
    if not _is_model(returned):
        return None
    for holder in _HOLDERS:
        told = returned.model_fields.get(holder)
        inner = get_args(told.annotation) if told is not None else ()
        if inner and _is_model(inner[0]):
            return Shape(returned, returned, inner[0], holder)
    return Shape(returned, returned)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def as_json(made: Any, shape: Shape, fields: str | None) -> bytes:
    """Return an answer as JSON, with the chosen fields only; an unknown one raises `invalid_input`."""
    if fields is None:
        return b"[" + b",".join(map(_dumped, made)) + b"]" if shape.model is None else _dumped(made)
    chosen = _chosen(fields, shape.row or shape.model)
    if shape.row is None:
        return msgspec.json.encode(_only(made.model_dump(mode="json"), chosen))
    rows = [_only(row.model_dump(mode="json"), chosen) for row in shape.rows(made)]
    if shape.holder is None:
        return msgspec.json.encode(rows)
    return msgspec.json.encode({**made.model_dump(mode="json", exclude={shape.holder}), shape.holder: rows})


def as_table(ask: Ask, arguments: dict[str, Any], shape: Shape, kind: str, fields: str | None) -> Response:
    """Return all rows from the asked cursor on as CSV or XLSX; a list that goes on names its cursor in a header."""
    if shape.row is None:
        raise Problem("invalid_input")
    known = tuple(shape.row.model_fields)
    chosen = _chosen(fields, shape.row) if fields is not None else frozenset(known)
    columns = [name for name in known if name in chosen]
    pages = _Pages(ask, arguments, shape)
    rows = ([_cell(value) for value in _values(row, columns)] for row in pages.rows())
    body, media_type = (
        (as_csv(columns, rows), CSV_TYPE) if kind == "csv" else (as_xlsx(columns, rows, "list"), XLSX_TYPE)
    )
    headers = {"Content-Disposition": f'attachment; filename="drumbeat.{kind}"'}
    if pages.following is not None:
        headers[NEXT_HEADER] = pages.following
    return Response(body, media_type=media_type, headers=headers)


class _Pages:
    """The pages of a list, one after the other; `following` is the cursor of what did not fit."""

    def __init__(self, ask: Ask, arguments: dict[str, Any], shape: Shape) -> None:
        self._ask, self._arguments, self._shape = ask, arguments, shape
        self.following: str | None = None

    def rows(self) -> Iterator[BaseModel]:
        """Yield the rows of all pages, at most 100,000."""
        if "cursor" not in self._arguments:
            return islice(self._shape.rows(self._ask(**self._arguments)), _MOST)
        return chain.from_iterable(self._each_page())

    def _each_page(self) -> Iterator[Sequence[BaseModel]]:
        arguments = {**self._arguments, "limit": _PAGE}
        for _ in range(_MOST // _PAGE):
            made = self._ask(**arguments)
            yield self._shape.rows(made)
            self.following = arguments["cursor"] = made.next_cursor
            if self.following is None:
                return


def _values(row: BaseModel, columns: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """Yield each column's value as it is and as JSON has it."""
    told = row.model_dump(mode="json", include=set(columns))
    return ((getattr(row, name), told[name]) for name in columns)


_MONEY: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")


def _cell(value: tuple[Any, Any]) -> Cell:
    """Return a cell: amounts are numbers, what holds further values is JSON."""
    own, told = value
    if isinstance(own, Decimal) and _MONEY.fullmatch(str(told)):
        return float(own)
    if isinstance(told, bool):
        return str(told).lower()
    if told is None or isinstance(told, str | int | float):
        return told
    return msgspec.json.encode(told).decode()


def _chosen(fields: str, model: type[BaseModel] | None) -> frozenset[str]:
    """Return the chosen names; one that the model lacks raises `invalid_input`."""
    chosen, known = frozenset(fields.split(",")), model.model_fields.keys() if model else ()
    unknown = sorted(chosen - frozenset(known))
    if unknown:
        words = f"no field {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        raise Problem(
            "invalid_input",
            words,
            errors=[{"pointer": "/query/fields", "code": "fields", "message": words[:200]}],
        )
    return chosen


def _dumped(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _only(row: Mapping[str, Any], chosen: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in chosen}
