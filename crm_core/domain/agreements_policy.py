"""The business figures of agreements (`config/policy/agreements.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementsPolicy:
    """Agreements: credit, contract terms and their life, from the request to the renewal."""
