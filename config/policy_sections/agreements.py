"""Reads the figures of agreements from `config/policy/agreements.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.agreements_policy import AgreementsPolicy


def agreements_policy(take: Taker) -> AgreementsPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return AgreementsPolicy()
