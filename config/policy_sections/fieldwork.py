"""Reads the figures of fieldwork from `config/policy/fieldwork.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.fieldwork_policy import FieldworkPolicy


def fieldwork_policy(take: Taker) -> FieldworkPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return FieldworkPolicy()
