"""A channel that knows its payments (a provider in small): what it does not know is not recorded (requirement 64)."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from crm_core.billing.payments import PaymentDesk, recorded_channels
from crm_core.domain.billing import Invoice, InvoiceState, PaymentMethod
from crm_core.domain.errors import Conflict
from tests.builders import TENANT
from tests.money_world import MAY, MoneyWorld, a_plan, shanghai


@dataclass
class Sandbox:
    """A provider's sandbox: payments by its own number, confirmed under the number of the transaction."""

    method: PaymentMethod = PaymentMethod.WECHAT_PAY
    known: dict[str, tuple[str, str]] = field(default_factory=dict)  # order -> (amount, transaction)

    def confirm(self, invoice: Invoice, amount: str, external_number: str) -> str:
        """Return the transaction's number."""
        told = self.known.get(external_number)
        if told is None or told[0] != amount:
            raise Conflict(f"{self.method} knows no payment {external_number} of {amount}")
        return f"{told[1]}:{invoice.invoice_number}"


def test_a_channel_confirms_what_is_recorded() -> None:
    world = MoneyWorld()
    world.customer()
    world.plans.publish(a_plan())
    world.contract()
    world.clock.move_to(shanghai(6, 1, 6))
    (invoice,) = world.billing.run(TENANT, MAY).invoices
    sandbox = Sandbox(known={"order-1": ("600.00", "42000")})
    channels = {**recorded_channels(), PaymentMethod.WECHAT_PAY: sandbox}
    desk = PaymentDesk(world.uow_factory, world.clock, world.policy, channels)
    number = invoice.invoice_number
    with pytest.raises(Conflict, match="knows no payment"):
        desk.pay(TENANT, number, Decimal("600.00"), PaymentMethod.WECHAT_PAY, "order-2", actor="li")
    paid = desk.pay(TENANT, number, Decimal("600.00"), PaymentMethod.WECHAT_PAY, "order-1", actor="li")
    assert paid.external_number == f"42000:{number}"
    with world.uow_factory() as uow:
        assert uow.billing.invoices.where(TENANT)[0].state is InvoiceState.PAID
