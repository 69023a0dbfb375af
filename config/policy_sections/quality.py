"""Reads the figures of quality from `config/policy/quality.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.quality_policy import QualityPolicy


def quality_policy(take: Taker) -> QualityPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return QualityPolicy(
        coverage_least=take.number("quality.coverage.least", most=1.0),
        coverage_most=take.number("quality.coverage.most", most=1.0),
        coverage_rows=take.whole("quality.coverage.rows", least=20),
        window_days=take.whole("quality.window", least=14, most=400),
        drift_limit=take.number("quality.drift_limit", most=10.0),
        silent_days=take.whole("quality.integrity.silent", least=1),
        early_swaps=take.whole("quality.integrity.early_swaps", least=1),
        early_swap_level=take.number("quality.integrity.early_swap_level", most=1.0),
        unusual_share=take.number("quality.integrity.unusual_share", most=0.2),
        idle_days=take.whole("quality.idle", least=1),
        churn_volume_fall=take.number("quality.churn.volume_fall", most=1.0),
        churn_renewal_days=take.whole("quality.churn.renewal", least=1),
        check_days=take.whole("quality.check", least=1),
    )
