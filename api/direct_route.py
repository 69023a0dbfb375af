"""Routes whose answers go out as they were built, with a choice of fields.

FastAPI validates every answer again and does so in a thread of its own; our bodies are built by our own code from
models that forbid what they do not know (`schemas.base.Output`), so that this costs a third of a request and finds
nothing. GET routes that return a model get the parameter `fields`, those of a list also `format` (`list_choice`).

A GET route is answered in one thread from its rule to its body: FastAPI would take a thread for the rule and another
for the function, and the way there and back costs as much as the work.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

from fastapi.params import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.access import AtOnce, Public, Rule
from api.list_choice import FIELDS, FORMAT, TABLES, Fields, Format, Shape, as_json, as_table, shape_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route whose function returns a model, or anything else as usual."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        reads = set(options.get("methods") or {"GET"}) == {"GET"}
        self._one_thread = reads and _waits_for_nothing(endpoint)
        shape = _shape_of(endpoint)
        if shape is not None:
            status = options.get("status_code") or 200
            if not isinstance(options.get("response_model"), type):
                options["response_model"] = shape.answer
            if reads and shape.row:
                options["responses"] = _with_tables(options.get("responses"))
            endpoint = _direct(endpoint, status, shape, reads=reads)
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


def _shape_of(endpoint: Callable[..., Any]) -> Shape | None:
    """Return the shape of what the function says to return, None for what is no model and for coroutines."""
    return None if inspect.iscoroutinefunction(endpoint) else shape_of(_signature(endpoint).return_annotation)


def _direct(endpoint: Callable[..., Any], status: int, shape: Shape, *, reads: bool) -> Callable[..., Any]:
    """Return the function with its answer as bytes; a GET gets the parameters that choose."""
    signature = _signature(endpoint)

    @wraps(endpoint)
    def answer(**arguments: Any) -> Any:
        fields, kind = arguments.pop(FIELDS, None), arguments.pop(FORMAT, "json")
        if kind != "json":
            return as_table(endpoint, arguments, shape, kind, fields)
        made = endpoint(**arguments)
        if not isinstance(made, BaseModel | list):
            return made
        response = Response(as_json(made, shape, fields), status, media_type="application/json")
        told = arguments.get("response")  # where the function put headers such as ETag
        if isinstance(told, Response):
            response.raw_headers += [each for each in told.raw_headers if each[0] != b"content-length"]
            response.status_code = told.status_code or status
        return response

    extra = [_choice(FIELDS, None, Fields)] if reads else []
    extra += [_choice(FORMAT, "json", Format)] if reads and shape.row else []
    answer.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what FastAPI reads
        parameters=[*signature.parameters.values(), *extra]
    )
    return answer


def _choice(name: str, default: str | None, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _with_tables(told: Mapping[int | str, Any] | None) -> dict[int | str, Any]:
    """Return the answers of a list with the tables beside its JSON."""
    answers = dict(told or {})
    answers[200] = {**answers.get(200, {}), "content": dict(TABLES)}
    return answers
