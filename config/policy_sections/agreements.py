"""Reads the figures of agreements from `config/policy/agreements.yaml`, checked for type and range."""

from config.policy_sections.contracts import contract_policy
from config.policy_sections.credit import credit_policy, recommendation_policy
from config.policy_taker import Taker
from crm_core.domain.agreements_policy import AgreementsPolicy


def agreements_policy(take: Taker) -> AgreementsPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return AgreementsPolicy(
        contracts=contract_policy(take),
        credit=credit_policy(take),
        recommendation=recommendation_policy(take),
    )
