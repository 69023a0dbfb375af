"""Quality in memory, with the promises of the database."""

from crm_core.storage.memory_service import Journal


class MemoryQualityRepository:
    """Scorecards of forecasts, drift, demand, churn and integrity findings (`ports.QualityRepository`)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
