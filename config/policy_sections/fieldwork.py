"""Reads the figures of fieldwork from `config/policy/fieldwork.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.fieldwork_policy import FieldworkPolicy


def fieldwork_policy(take: Taker) -> FieldworkPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return FieldworkPolicy(
        usual_item=take.text("fieldwork.usual_item"),
        test_pages=take.whole("fieldwork.installation.test_pages", least=1),
        photos_most=take.whole("fieldwork.photos.most", least=1, most=200),
        photo_bytes_most=take.whole("fieldwork.photos.kilobytes_most", least=10, most=50_000) * 1024,
        similar_least=take.whole("fieldwork.estimate.similar_least", least=2, most=1000),
        similar_within=take.duration("fieldwork.estimate.similar_within"),
        list_spread=take.decimal("fieldwork.estimate.list_spread", most=1),
        care_pages=take.whole("fieldwork.care.pages", least=100, most=10_000_000),
        care_days=take.whole("fieldwork.care.days", least=1, most=3650),
        pull_share=take.decimal("fieldwork.care.pull_share", least=0.1, most=1),
    )
