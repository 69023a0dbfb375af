"""The figures of relations and credit for tests: those of `config/policy`, read without the rest of the book.

Acceptance examples of the requirements name exactly these figures, so tests of them stand on the file itself.
"""

from functools import cache

from config.catalogue_files import read_yaml
from config.policy_files import POLICY, figures_in
from config.policy_sections.credit import credit_policy, recommendation_policy
from config.policy_sections.relations import relations_policy
from config.policy_taker import Taker
from crm_core.domain.credit_policy import CreditPolicy, RecommendationPolicy
from crm_core.domain.relations_policy import RelationsPolicy


def _take(name: str) -> Taker:
    path = POLICY / f"{name}.yaml"
    return Taker(POLICY, dict(figures_in(path, name, read_yaml(path))))


@cache
def a_relations_policy() -> RelationsPolicy:
    return relations_policy(_take("relations"))


@cache
def a_credit_policy() -> CreditPolicy:
    return credit_policy(_take("credit"))


@cache
def a_recommendation_policy() -> RecommendationPolicy:
    return recommendation_policy(_take("credit"))
