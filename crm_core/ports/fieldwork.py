"""The port of fieldwork: maintenance plans, evidence of visits, repair reports, estimates."""

from typing import Protocol


class FieldworkRepository(Protocol):
    """Maintenance plans, evidence of visits, repair reports, estimates, within one transaction."""
