"""Story: a copier without a network is billed for a year by what its customer reads off, never by a guess."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from crm_core.billing.statements import Stated, StatementDesk
from crm_core.domain.billing import Invoice, LineKind
from crm_core.domain.identity import DeviceId
from crm_core.domain.meter_statements import StatementSource, StatementState
from crm_core.storage.attachment_files import FileAttachmentStore
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from tests.builders import TENANT
from tests.money_world import MoneyWorld, a_plan, counted, shanghai

#: Pages of each month from May to August; in July nobody reads the meter, in June a digit is mistyped at first.
PAGES = {5: 900, 6: 1100, 7: 1000, 8: 1400}


def pages_billed(invoices: list[Invoice]) -> Decimal:
    """Return what all invoices together ask for pages."""
    return sum(
        (row.amount for each in invoices for row in each.lines if row.kind is not LineKind.RENT), Decimal(0)
    )


def test_a_year_of_read_meters_sums_to_what_was_printed(tmp_path: Path) -> None:
    """Installed at 40,000; three months stated, one estimated and trued up; at the end the device speaks: to the cent."""
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    migrate(url)
    uow_factory = make_uow_factory(url)
    world = MoneyWorld(uow_factory=uow_factory)
    files = FileAttachmentStore(tmp_path / "photos")
    desk = StatementDesk(world.uow_factory, world.store, world.clock, world.policy, files)
    world.customer()
    world.device("d1")
    world.plans.publish(a_plan())
    world.contract()
    world.placed("k1", "1", "d1", start_count=40_000)
    invoices: list[Invoice] = []
    count = 40_000

    def state(month: int, total: int, *, confirmed: bool = False) -> StatementState | None:
        read_at = shanghai(month + 1, 1) - timedelta(hours=6)
        world.clock.move_to(read_at + timedelta(hours=1))
        stated = Stated(device_id=DeviceId("d1"), total=total, read_at=read_at, confirmed=confirmed)
        heard = desk.state(TENANT, stated, source=StatementSource.CUSTOMER, by="wang")
        return heard.statement.state if heard.statement else None

    for month, pages in PAGES.items():
        count += pages
        if month == 6:
            assert state(month, count * 10) is None  # a digit too many: asked again, nothing is kept
        if month != 7:
            assert state(month, count) is StatementState.ACCEPTED
        world.clock.move_to(shanghai(month + 1, 1, 6))
        invoices += world.billing.run(TENANT, date(2026, month, 1)).invoices
    flags = [each.usage[-1].flags for each in invoices]
    assert [("stated" in row, "estimated" in row) for row in flags] == [
        (True, False),
        (True, False),
        (False, True),
        (True, False),
    ]
    assert invoices[3].trued_up == ("2026-07:1:d1",)
    assert pages_billed(invoices) == Decimal("0.1") * sum(PAGES.values())
    world.says(counted("d1", shanghai(9, 15), count + 700), counted("d1", shanghai(9, 30, 20), count + 1500))
    world.clock.move_to(shanghai(10, 1, 6))
    invoices += world.billing.run(TENANT, date(2026, 9, 1)).invoices
    assert pages_billed(invoices) == Decimal("0.1") * (sum(PAGES.values()) + 1500)
    uow_factory.close()
