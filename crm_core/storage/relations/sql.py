"""Relations over the CRM database (`ports.RelationsRepository`)."""

from sqlalchemy import Connection


class SqlRelationsRepository:
    """Customer axes and their history, contacts, tasks, complaints, surveys, loyalty (`ports.RelationsRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
