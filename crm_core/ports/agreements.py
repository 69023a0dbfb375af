"""The port of agreements: credit assessments, contract lines and terms, consents, requests and proposals."""

from typing import Protocol


class AgreementsRepository(Protocol):
    """Credit assessments, contract lines and terms, consents, requests and proposals, within one transaction."""
