"""When a machine has used so much of its design life that it is replaced; one rule for one device or for an array."""

from typing import Any

from crm_core.domain.policy import LifePolicy


def replacement_due(used_share: Any, policy: LifePolicy) -> Any:
    """Return True where the used share of the design life has reached the policy's share (requirement 39)."""
    return used_share >= policy.replacement_share
