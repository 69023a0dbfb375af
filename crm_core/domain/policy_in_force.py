"""The policy book as services hold it: always the version that is in force now, though it began after they were made."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from crm_core.domain.policy import PolicyBook


class PolicyInForce(PolicyBook):
    """Looks like a book; each figure comes from the book that `book_now` gives at that moment.

    Services keep this object and ask it anew for each decision; a section that is kept would stay as it was.
    """

    def __init__(self, book_now: Callable[[], PolicyBook]) -> None:
        object.__setattr__(self, "book_now", book_now)


def _section(name: str) -> Any:
    return property(lambda self: getattr(self.book_now(), name), doc=f"`{name}` of the book in force.")


for _field in fields(PolicyBook):
    setattr(PolicyInForce, _field.name, _section(_field.name))
