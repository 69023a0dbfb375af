"""Reads the figures of fieldwork from `config/policy/fieldwork.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.fieldwork_policy import FieldworkPolicy
from crm_core.domain.roster import AbsenceKind
from crm_core.fieldwork.jobs import ORDERED


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
        granted_at_once=frozenset(
            kind.value for kind in AbsenceKind if take.flag(f"fieldwork.absences.at_once.{kind.value}")
        ),
        ordered_within={
            kind.value: take.duration(f"fieldwork.ordered_within.{kind.value}") for kind in ORDERED
        },
        pull_share=take.decimal("fieldwork.care.pull_share", least=0.1, most=1),
    )
