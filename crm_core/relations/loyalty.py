"""Points and coupons: earned on paid invoices and returned empties, spent once, never invented (requirements 29-32)."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal

from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.loyalty import Coupon, LoyaltyEntry, PointsReason
from crm_core.domain.money import Money
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.money_facts import signed_contracts
from crm_core.relations.periods import local_day, months_before

_MAX_CODES = 50


class Loyalty:
    """The ledger of points and the coupons of customers."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy

    def award_paid(
        self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, invoice: str, paid: Money
    ) -> LoyaltyEntry | None:
        """Give a point for each whole yuan of an invoice that is paid in full (600.50 -> 600), once; None for a repeat.

        Billing calls it in the transaction of the payment; unpaid invoices give nothing because nobody calls.
        """
        whole = (paid.amount * self._policy.relations.loyalty.points_per_yuan).to_integral_value(ROUND_FLOOR)
        if whole <= 0:
            return None
        return uow.relations.points.add_once(
            self._entry(tenant, customer_id, int(whole), PointsReason.PAID, f"invoice:{invoice}")
        )

    def take_back(
        self, tenant: TenantId, customer_id: CustomerId, codes: Sequence[str], *, visit: str
    ) -> tuple[LoyaltyEntry, ...]:
        """Give points for empties taken back on a visit; the QR code of each is its proof and counts once for ever."""
        clean = tuple(dict.fromkeys(code.strip() for code in codes))
        if not clean or len(clean) > _MAX_CODES or any(not code or len(code) > 80 for code in clean):
            raise InvalidValue(f"scan 1 to {_MAX_CODES} codes of at most 80 characters")
        points = self._policy.relations.loyalty.points_per_empty
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            made = [
                uow.relations.points.add_once(
                    self._entry(tenant, customer_id, points, PointsReason.RECYCLED, f"empty:{code}", visit)
                )
                for code in clean
            ]
            uow.commit()
        return tuple(entry for entry in made if entry is not None)

    def redeem(
        self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, points: int, what: str
    ) -> Money:
        """Spend points on `what` (an invoice, consumables, warranty) and return their value; `Conflict` if too few."""
        if points <= 0:
            raise InvalidValue("redeem at least one point")
        held = balance(uow, tenant, customer_id)
        if points > held:
            raise Conflict(f"only {held} points are there, not {points}")
        entry = self._entry(
            tenant, customer_id, -points, PointsReason.REDEEMED, f"redeem:{customer_id}:{what}"
        )
        if uow.relations.points.add_once(entry) is None:
            raise Conflict(f"points were spent on {what} already")
        return Money(self._policy.relations.loyalty.point_value * points).rounded()

    def reward_referral(
        self, uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId
    ) -> tuple[Coupon, ...]:
        """Give both sides a coupon when a referred customer signs the first contract; once, whatever is signed later."""
        customer = uow.customers.get(tenant, customer_id)
        if customer.referred_by is None:
            return ()
        origin = f"referral:{customer_id}"
        made = [
            uow.relations.coupons.add_once(self._coupon(tenant, side, origin))
            for side in (customer_id, customer.referred_by)
        ]
        return tuple(coupon for coupon in made if coupon is not None)

    def reward_referrals(self, tenant: TenantId) -> int:
        """Give the coupons of all referred customers whose first contract runs; return how many were new."""
        made = 0
        with self._uow_factory() as uow:
            today = self._today()
            begun = {each.customer_id for each in signed_contracts(uow, tenant) if each.starts_on <= today}
            for customer in uow.customers.all(tenant):
                if customer.referred_by is not None and customer.customer_id in begun:
                    made += len(self.reward_referral(uow, tenant, customer.customer_id))
            uow.commit()
        return made

    def _entry(
        self,
        tenant: TenantId,
        customer_id: CustomerId,
        points: int,
        reason: PointsReason,
        evidence: str,
        note: str = "",
    ) -> LoyaltyEntry:
        return LoyaltyEntry(
            tenant=tenant,
            entry_id=0,
            customer_id=customer_id,
            at=self._clock.now(),
            points=points,
            reason=reason,
            evidence=evidence,
            note=note,
        )

    def _coupon(self, tenant: TenantId, customer_id: CustomerId, origin: str) -> Coupon:
        rules = self._policy.relations.loyalty
        today = self._today()
        return Coupon(
            tenant=tenant,
            coupon_id=0,
            customer_id=customer_id,
            origin=origin,
            amount=rules.referral_coupon,
            percent=Decimal(0),
            issued_on=today,
            valid_until=months_before(today, -rules.coupon_valid_months),
        )

    def _today(self) -> date:
        return local_day(self._clock.now(), self._policy.sla.calendar.time_zone)


def balance(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId) -> int:
    """Return a customer's points: the sum of the ledger, and nothing else."""
    return sum(entry.points for entry in uow.relations.points.where(tenant, customer_id=customer_id))


def valid_coupons(uow: UnitOfWork, tenant: TenantId, customer_id: CustomerId, now: datetime) -> list[Coupon]:
    """Return a customer's coupons that may be used, those that end first before the others."""
    rows = uow.relations.coupons.where(tenant, customer_id=customer_id)
    usable = [row for row in rows if row.redeemed_on is None and row.valid_until >= now.date()]
    return sorted(usable, key=lambda row: (row.valid_until, row.coupon_id))
