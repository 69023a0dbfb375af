"""The port of notices: messages to people and machines: outbox, deliveries, webhooks."""

from typing import Protocol


class NoticesRepository(Protocol):
    """Messages to people and machines: outbox, deliveries, webhooks, within one transaction."""
