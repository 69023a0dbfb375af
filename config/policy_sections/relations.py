"""Reads the figures of relations from `config/policy/relations.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.relations_policy import RelationsPolicy


def relations_policy(take: Taker) -> RelationsPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return RelationsPolicy()
