"""The business figures of notices (`config/policy/notices.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesPolicy:
    """Notices: messages that must reach somebody once, and their way there."""
