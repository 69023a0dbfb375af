"""The business figures of notices (`config/policy/notices.yaml`) as a frozen type."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesPolicy:
    """When customers are told, in which hours they are left alone, and how long a message is tried.

    Quiet hours are minutes after local midnight and hold for customers that name none of their own; equal means none.
    """

    quiet_from: int
    quiet_to: int
    told_states: frozenset[str]  # of a ticket, of which the customer is told (requirements 49, 70)
    first_retry: timedelta
    last_retry: timedelta  # the pause doubles from the first to this one
    attempts: int  # then the notice is dead: kept and listed
    claim: timedelta  # so long one process may take to send; then another tries
