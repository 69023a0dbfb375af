"""Fieldwork over the CRM database (`ports.FieldworkRepository`)."""

from sqlalchemy import Connection


class SqlFieldworkRepository:
    """Maintenance plans, evidence of visits, repair reports, estimates (`ports.FieldworkRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
