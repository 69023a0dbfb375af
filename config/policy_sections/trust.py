"""Reads the figures of trust from `config/policy/trust.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.trust_policy import TrustPolicy


def trust_policy(take: Taker) -> TrustPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return TrustPolicy()
