"""Agreements over the CRM database (`ports.AgreementsRepository`)."""

from sqlalchemy import Connection


class SqlAgreementsRepository:
    """Credit assessments, contract lines and terms, consents, requests and proposals (`ports.AgreementsRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
