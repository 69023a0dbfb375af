"""Reads the figures of notices from `config/policy/notices.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.notices_policy import NoticesPolicy
from crm_core.domain.service import TicketState


def notices_policy(take: Taker) -> NoticesPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    told = frozenset(take.text("notices.told_states").replace(",", " ").split())
    unknown = sorted(told - {state.value for state in TicketState})
    if unknown:
        raise InvalidConfiguration(f"notices.told_states: no ticket state: {', '.join(unknown)}")
    return NoticesPolicy(
        quiet_from=take.whole("notices.quiet.from", most=1439),
        quiet_to=take.whole("notices.quiet.to", most=1439),
        told_states=told,
        first_retry=take.duration("notices.retry.first"),
        last_retry=take.duration("notices.retry.last"),
        attempts=take.whole("notices.retry.attempts", least=1, most=1000),
        claim=take.duration("notices.retry.claim"),
    )
