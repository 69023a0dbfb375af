"""The port of relations: customer axes and their history, contacts, tasks, complaints, surveys, loyalty."""

from typing import Protocol


class RelationsRepository(Protocol):
    """Customer axes and their history, contacts, tasks, complaints, surveys, loyalty, within one transaction."""
