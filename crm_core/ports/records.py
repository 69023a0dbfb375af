"""Numbered records of one kind: what most of the customers' area keeps (contacts, tasks, complaints, ledgers)."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from crm_core.domain.identity import TenantId

Entity = TypeVar("Entity")


class Records(Protocol[Entity]):
    """Entities numbered by the store, with a version against lost updates."""

    def add(self, entity: Entity) -> Entity:
        """Insert the entity (its number is ignored) and return it with its number; `Conflict` if its key is taken."""
        ...

    def add_once(self, entity: Entity) -> Entity | None:
        """Insert like `add`; None when another record has the same natural key (a repeat has one effect)."""
        ...

    def get(self, tenant: TenantId, number: int) -> Entity:
        """Return the record, or raise `NotFound`."""
        ...

    def save(self, entity: Entity) -> Entity:
        """Replace the record and return it with the next version; `Conflict` when the stored version differs."""
        ...

    def where(
        self, tenant: TenantId, *, before: int | None = None, limit: int = 1_000_000, **equal: object
    ) -> Sequence[Entity]:
        """Return records whose fields equal the given values (None = any value), newest first.

        Only fields that the table lists as searchable may be named; `before` is a cursor on the number.
        """
        ...
