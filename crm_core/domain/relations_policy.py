"""The business figures of relations (`config/policy/relations.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationsPolicy:
    """Customer relations: classes with reasons, contacts, tasks, complaints, surveys, loyalty."""
