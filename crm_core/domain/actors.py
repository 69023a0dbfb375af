"""Who acts now: the HTTP side, the command line and the jobs say it once, the audit chain writes it down.

The name stands in a holder that is shared by everything that a request starts, in whatever thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

SYSTEM: Final = "drumbeat"


@dataclass(slots=True)
class Actor:
    """Somebody who acts: `user:<id>`, `job:<name>`, `cli:<name>`, or `drumbeat` itself."""

    name: str = SYSTEM


_CURRENT: ContextVar[Actor | None] = ContextVar("drumbeat_actor", default=None)


def current_actor() -> str:
    """Return the name of who acts now."""
    actor = _CURRENT.get()
    return SYSTEM if actor is None else actor.name


def name_actor(name: str) -> None:
    """Say who acts, after `acting` opened the place for it; without such a place nothing changes."""
    actor = _CURRENT.get()
    if actor is not None:
        actor.name = name


@contextmanager
def acting(name: str = SYSTEM) -> Iterator[Actor]:
    """Let everything inside be done by `name`, which `name_actor` may still change."""
    token = _CURRENT.set(Actor(name))
    try:
        yield _CURRENT.get() or Actor(name)
    finally:
        _CURRENT.reset(token)
