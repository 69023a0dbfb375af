"""The port of billing: plans, meter epochs, invoices, payments, credits."""

from typing import Protocol


class BillingRepository(Protocol):
    """Plans, meter epochs, invoices, payments, credits, within one transaction."""
