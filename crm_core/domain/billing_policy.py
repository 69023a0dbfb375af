"""The business figures of billing (`config/policy/billing.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPolicy:
    """Billing: from meter readings to invoices, payments and credits."""
