"""Reads the figures of trust from `config/policy/trust.yaml`, checked for type and range."""

from config.policy_taker import Taker
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.service import Role
from crm_core.domain.trust_policy import PersonalFieldRule, RetentionPolicy, TrustPolicy


def trust_policy(take: Taker) -> TrustPolicy:
    """Return the section; raise `InvalidConfiguration` naming the key of a missing or impossible figure."""
    return TrustPolicy(
        personal={name: _rule(take, f"trust.personal.{name}") for name in take.names_under("trust.personal")},
        retention=RetentionPolicy(
            personal=take.duration("trust.retention.personal"),
            expired_tokens=take.duration("trust.retention.expired_tokens"),
            processed_signals=take.duration("trust.retention.processed_signals"),
        ),
    )


def _rule(take: Taker, table: str) -> PersonalFieldRule:
    return PersonalFieldRule(
        shown_last=take.whole(f"{table}.shown_last", most=6),
        look_up=take.flag(f"{table}.look_up"),
        read_by=frozenset(_role(f"{table}.read_by", name) for name in take.text(f"{table}.read_by").split()),
    )


def _role(key: str, name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise InvalidConfiguration(f"{key}: {name!r} is no role; there are: {known}") from None
