"""Reads the figures of notices from `config/policy/notices.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.notices_policy import NoticesPolicy


def notices_policy(take: Taker) -> NoticesPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return NoticesPolicy()
