"""Quality over the CRM database (`ports.QualityRepository`)."""

from sqlalchemy import Connection


class SqlQualityRepository:
    """Scorecards of forecasts, drift, demand, churn and integrity findings (`ports.QualityRepository`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
