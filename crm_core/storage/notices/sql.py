"""Notices over the CRM database (`ports.NoticesRepository`)."""

from sqlalchemy import Connection


class SqlNoticesRepository:
    """Messages to people and machines: outbox, deliveries, webhooks (`ports.NoticesRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
