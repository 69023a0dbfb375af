"""The port of trust: the audit chain, encrypted personal fields and their keys."""

from typing import Protocol


class TrustRepository(Protocol):
    """The audit chain, encrypted personal fields and their keys, within one transaction."""
