"""The business figures of agreements (`config/policy/agreements.yaml`) as a frozen type."""

from dataclasses import dataclass

from crm_core.domain.contract_policy import ContractPolicy
from crm_core.domain.credit_policy import CreditPolicy, RecommendationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementsPolicy:
    """Agreements: credit, contract terms and their life, from the request to the renewal."""

    contracts: ContractPolicy
    credit: CreditPolicy
    recommendation: RecommendationPolicy
