"""Finds the routes of a request by the beginning of its path, where the framework would try several hundred in turn.

A route of its own in front of all others: it asks only the modules that have a path beginning like the request's.
What it does not know falls through to the framework, which then answers 404 or 405.
"""

from collections.abc import Iterable
from typing import Final

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

_FOUND: Final = "drumbeat.route"
_PARAMETER: Final = "{"


class FastLane(BaseRoute):
    """The first of an application's routes; `add` names the others."""

    def __init__(self, api_prefix: str) -> None:
        self._api = api_prefix + "/"
        self._routes: dict[str, list[BaseRoute]] = {}
        self._anywhere: list[BaseRoute] = []  # paths that begin with a parameter

    def add(self, included: BaseRoute, router: APIRouter, prefix: str = "") -> None:
        """Make known under which beginnings of paths `included`, what `router` became, can answer."""
        beginnings = {
            self._beginning(prefix + route.path) for route in router.routes if isinstance(route, Route)
        }
        for beginning in sorted(beginnings):
            known = self._anywhere if _PARAMETER in beginning else self._routes.setdefault(beginning, [])
            known.append(included)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return the first full match; none for what is not HTTP."""
        if scope["type"] != "http":
            return Match.NONE, {}
        for route in self._candidates(scope["path"]):
            match, child_scope = route.matches(scope)
            if match == Match.FULL:
                return match, {**child_scope, _FOUND: route}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the route that matched."""
        await scope[_FOUND].handle(scope, receive, send)

    def _candidates(self, path: str) -> Iterable[BaseRoute]:
        return (*self._routes.get(self._beginning(path), ()), *self._anywhere)

    def _beginning(self, path: str) -> str:
        """Return the first part of a path behind the API's prefix, or of the whole path."""
        start = len(self._api) if path.startswith(self._api) else 1
        return path[:start] + path[start:].partition("/")[0]
