"""Reads the figures of quality from `config/policy/quality.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.quality_policy import QualityPolicy


def quality_policy(take: Taker) -> QualityPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return QualityPolicy()
