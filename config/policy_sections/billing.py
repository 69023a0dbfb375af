"""Reads the figures of billing from `config/policy/billing.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.billing_policy import BillingPolicy


def billing_policy(take: Taker) -> BillingPolicy:  # noqa: ARG001 - no figure yet
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return BillingPolicy()
