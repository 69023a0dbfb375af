"""Routes whose answers go out as they were built, with a choice of fields.

FastAPI validates every answer again and does so in a thread of its own; our bodies are built by our own code from
models that forbid what they do not know (`schemas.base.Output`), so that this costs a third of a request and finds
nothing. GET routes that return a model get the parameter `fields`.

A GET route is answered in one thread from its rule to its body: FastAPI would take a thread for the rule and another
for the function, and the way there and back costs as much as the work.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from fastapi import Query
from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.access import AtOnce, Public, Rule
from api.problem import Problem

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

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
        reads = set(options.get("methods") or {"GET"}) == {"GET"}
        self._one_thread = reads and _waits_for_nothing(endpoint)
        returned = _model_of(endpoint)
        if returned is not None:
            status = options.get("status_code") or 200
            if not isinstance(options.get("response_model"), type):
                options["response_model"] = returned
            endpoint = _direct(endpoint, status, returned if reads else None)
        super().__init__(path, _at_once(endpoint) if self._one_thread else endpoint, **options)

    def get_route_handler(self) -> Handler:
        """Return what FastAPI made, run in one thread where nothing in it waits for the event loop."""
        handler = super().get_route_handler()
        if not self._one_thread:
            return handler

        async def in_one_thread(request: Request) -> Response:
            return await run_in_threadpool(_run, handler(request))

        return in_one_thread


def _run(handling: Coroutine[Any, Any, Response]) -> Response:
    """Run a coroutine that waits for nothing."""
    try:
        handling.send(None)
    except StopIteration as ended:
        response: Response = ended.value
        return response
    handling.close()
    raise RuntimeError("the framework waited in a GET route that has nothing to wait for")


def _waits_for_nothing(endpoint: Callable[..., Any]) -> bool:
    """Return True for a plain function that depends on nothing but its rule."""
    told = (
        part for each in _signature(endpoint).parameters.values() for part in get_args(each.annotation)[1:]
    )
    depends = [part.dependency for part in told if isinstance(part, Depends)]
    return not inspect.iscoroutinefunction(endpoint) and all(
        isinstance(each, Rule | Public) for each in depends
    )


def _signature(endpoint: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(endpoint, eval_str=True)


def _at_once(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function and its rule as coroutines that wait for nothing, so that FastAPI takes no thread for them."""

    async def answer(**arguments: Any) -> Any:
        return endpoint(**arguments)

    signature = _signature(endpoint)
    swapped = [
        each.replace(annotation=_rule_at_once(each.annotation)) for each in signature.parameters.values()
    ]
    answer.__name__, answer.__doc__, answer.__module__ = (
        endpoint.__name__,
        endpoint.__doc__,
        endpoint.__module__,
    )
    answer.__signature__ = signature.replace(parameters=swapped)  # type: ignore[attr-defined]  # what FastAPI reads
    return answer


def _rule_at_once(annotation: Any) -> Any:
    """Return an annotation with its rule, if it has one, as a coroutine."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, *told = get_args(annotation)
    swapped = [
        Depends(AtOnce(each.dependency))
        if isinstance(each, Depends) and isinstance(each.dependency, Rule | Public)
        else each
        for each in told
    ]
    return Annotated[kind, *swapped]


def _model_of(endpoint: Callable[..., Any]) -> type[BaseModel] | None:
    """Return the model that the function says to return, None for anything else and for coroutines."""
    if inspect.iscoroutinefunction(endpoint):
        return None
    returned = _signature(endpoint).return_annotation
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

    signature = _signature(endpoint)
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
