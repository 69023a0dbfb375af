"""Routes whose answers go out as they were built, with a choice of fields.

FastAPI validates every answer again and does so in a thread of its own; our bodies are built by our own code from
models that forbid what they do not know (`schemas.base.Output`), so that this costs a third of a request and finds
nothing. A route that returns a model is answered in the thread that made it. GET routes get the parameter `fields`.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, Final, get_origin

import msgspec
from fastapi import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from api.problem import Problem

FIELDS: Final = "fields"
_PATTERN: Final = r"^[a-z][a-z0-9_]{0,63}(,[a-z][a-z0-9_]{0,63}){0,63}$"
Fields = Annotated[
    str | None,
    Query(
        pattern=_PATTERN,
        max_length=1000,
        description="only these fields of the object, or of each row of a list, separated by commas",
    ),
]


class DirectRoute(APIRoute):
    """A route whose function returns a model, or anything else as usual."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        returned = _model_of(endpoint)
        if returned is None:
            super().__init__(path, endpoint, **options)
            return
        selects = "GET" in (options.get("methods") or {"GET"})
        status = options.get("status_code") or 200
        if not isinstance(options.get("response_model"), type):
            options["response_model"] = returned
        super().__init__(path, _direct(endpoint, status, returned if selects else None), **options)


def _model_of(endpoint: Callable[..., Any]) -> type[BaseModel] | None:
    """Return the model that the function says to return, None for anything else and for coroutines."""
    if inspect.iscoroutinefunction(endpoint):
        return None
    returned = inspect.signature(endpoint, eval_str=True).return_annotation
    origin = get_origin(returned) or returned
    return returned if inspect.isclass(origin) and issubclass(origin, BaseModel) else None


def _direct(endpoint: Callable[..., Any], status: int, selects: type[BaseModel] | None) -> Callable[..., Any]:
    """Return the function with its answer as bytes; `selects`, the model of the answer, adds the parameter."""
    row = _row_of(selects) if selects else None

    @wraps(endpoint)
    def answer(**arguments: Any) -> Any:
        fields = arguments.pop(FIELDS, None)
        made = endpoint(**arguments)
        if not isinstance(made, BaseModel):
            return made
        body = made.model_dump_json().encode() if fields is None else _selected(made, row, fields)
        response = Response(body, status, media_type="application/json")
        told = arguments.get("response")  # where the function put headers such as ETag
        if isinstance(told, Response):
            response.raw_headers += [each for each in told.raw_headers if each[0] != b"content-length"]
            response.status_code = told.status_code or status
        return response

    signature = inspect.signature(endpoint, eval_str=True)
    if selects:
        extra = inspect.Parameter(FIELDS, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Fields)
        signature = signature.replace(parameters=[*signature.parameters.values(), extra])
    answer.__signature__ = signature  # type: ignore[attr-defined]  # what FastAPI reads
    return answer


def _selected(made: BaseModel, row: type[BaseModel] | None, fields: str) -> bytes:
    """Return the object, or each row of a page, with the chosen fields; an unknown one is invalid input."""
    chosen = frozenset(fields.split(","))
    whole: dict[str, Any] = made.model_dump(mode="json")
    if row is None:
        _check(chosen, type(made).model_fields.keys())
        return msgspec.json.encode(_only(whole, chosen))
    _check(chosen, row.model_fields.keys())
    whole["items"] = [_only(each, chosen) for each in whole["items"]]
    return msgspec.json.encode(whole)


def _row_of(model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model of a page's rows, None for what is no page."""
    row, *_ = (*model.__pydantic_generic_metadata__["args"], None)
    return (
        row if inspect.isclass(row) and issubclass(row, BaseModel) and "items" in model.model_fields else None
    )


def _check(chosen: frozenset[str], known: Any) -> None:
    unknown = sorted(chosen - frozenset(known))
    if unknown:
        words = f"no field {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        raise Problem(
            "invalid_input",
            words,
            errors=[{"pointer": "/query/fields", "code": "fields", "message": words[:200]}],
        )


def _only(row: Mapping[str, Any], chosen: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in chosen}
