"""Points and coupons of customers: a ledger whose balance is the sum of its entries (requirements 29-32)."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from crm_core.domain.identity import CustomerId, TenantId


class PointsReason(StrEnum):
    """Why points came or went."""

    PAID = "paid"  # one point for each whole yuan of a paid invoice
    RECYCLED = "recycled"  # empties taken back on a visit
    REDEEMED = "redeemed"
    REVERSED = "reversed"  # a payment that was taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class LoyaltyEntry:
    """One movement of points; `evidence` is unique for its reason, so that nothing counts twice."""

    tenant: TenantId
    entry_id: int
    customer_id: CustomerId
    at: datetime
    points: int
    reason: PointsReason
    evidence: str  # invoice number, visit with its codes, order
    note: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """Money off the next invoice; `origin` is unique for the customer (referral:k7, win_back:k3:2026-11)."""

    tenant: TenantId
    coupon_id: int
    customer_id: CustomerId
    origin: str
    amount: Decimal  # yuan; of a percentage coupon 0
    percent: Decimal  # 0 for a fixed amount
    issued_on: date
    valid_until: date
    redeemed_at: datetime | None = None
    redeemed_on: str | None = None  # the invoice
    version: int = 1
