"""Trust over the CRM database (`ports.TrustRepository`)."""

from sqlalchemy import Connection


class SqlTrustRepository:
    """The audit chain, encrypted personal fields and their keys (`ports.TrustRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
