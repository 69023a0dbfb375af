"""Acceptance story 3: the month end of a whole fleet, every page traced, estimates trued up, twice the same."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.stores.memory import MemoryTelemetryStore
from collector.stores.sqlite import SqliteTelemetryStore
from crm_core.billing.epochs import NEW_EPOCH
from crm_core.billing.run import RunReport
from crm_core.domain.billing import Invoice, LineKind, PageTariff
from crm_core.domain.contracts import PagePool
from crm_core.domain.identity import DeviceId
from crm_core.domain.telemetry import DeviceReading
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from tests.builders import TENANT, ManualClock
from tests.money_world import JUNE, MAY, MoneyWorld, a_line, a_plan, counted, shanghai

SILENT_FROM = shanghai(5, 20)
SPEAKS_AGAIN = shanghai(6, 4)
SWAP_AT = shanghai(5, 15, 12)
#: Counts of the pool's devices at the ends of April, May and June: 9,200 pages, then 11,500.
POOLED = ((0, 4000, 9000), (0, 4000, 9000), (0, 1200, 2700))


@dataclass(frozen=True)
class Fleet:
    """How many devices are silent, had their board changed, were swapped; three more share a pool."""

    devices: int
    silent: int
    boards: int
    swapped: int

    def kind(self, number: int) -> str:
        """Return what happens to the device of that number."""
        for kind, count in (("silent", self.silent), ("board", self.boards), ("swap", self.swapped)):
            if number < count:
                return kind
            number -= count
        return "plain"


STORY = Fleet(devices=1200, silent=60, boards=12, swapped=5)
SMALL = Fleet(devices=40, silent=5, boards=3, swapped=2)


def rate(number: int) -> tuple[int, int]:
    """Return mono and colour pages a day."""
    return 40 + number % 90, number % 7


def readings_of(number: int, kind: str) -> Iterator[DeviceReading]:
    """Return one reading a day at 23:00 from 30 April to 30 June, as the story has it."""
    mono, colour = rate(number)
    device, base = f"d{number:04d}", 10_000 + number
    for day in range(62):
        at = shanghai(4, 30, 23) + timedelta(days=day)
        total, coloured = base + (mono + colour) * day, 100 + colour * day
        if kind == "silent" and SILENT_FROM <= at < SPEAKS_AGAIN:
            continue
        if kind == "board" and at >= shanghai(5, 12):
            total, coloured = total - base - (mono + colour) * 12, coloured - 100 - colour * 12
        if kind == "swap" and at > SWAP_AT:
            return
        yield counted(device, at, total, colour=coloured)


def found_fleet(world: MoneyWorld, fleet: Fleet) -> None:
    """Sign contracts of ten devices each, and one with a pool of 10,000 pages for three."""
    world.plans.publish(a_plan(mono=PageTariff(price=Decimal("0.08"), free_pages=1000)))
    for first in range(0, fleet.devices, 10):
        customer, contract = f"c{first:04d}", f"k{first:04d}"
        numbers = range(first, min(first + 10, fleet.devices))
        world.customer(customer)
        world.contract(contract, customer, lines=[a_line(f"{number}") for number in numbers])
        for number in numbers:
            world.device(f"d{number:04d}", customer)
            world.placed(contract, f"{number}", f"d{number:04d}")
            if fleet.kind(number) == "swap":
                new_device(world, contract, customer, number)
    pooled(world)


def tell(world: MoneyWorld, fleet: Fleet, since: datetime, until: datetime) -> None:
    """Let the readings of a span land."""
    for number in range(fleet.devices):
        rows = list(readings_of(number, fleet.kind(number)))
        if fleet.kind(number) == "swap":
            days = ((shanghai(5, 15, 11) + timedelta(days=day), 150 * day) for day in range(47))
            rows += [counted(f"n{number:04d}", at, 7 + pages) for at, pages in days]
        if number < 3:
            ends = zip(
                (shanghai(4, 30, 23), shanghai(5, 31, 23), shanghai(6, 30, 23)), POOLED[number], strict=True
            )
            rows += [counted(f"pool-{number}", at, 50 + pages) for at, pages in ends]
        world.says(*(row for row in rows if since <= row.polled_at < until))


def new_device(world: MoneyWorld, contract: str, customer: str, number: int) -> None:
    """Swap in the middle of the month; the new machine prints 150 pages a day."""
    device = f"n{number:04d}"
    world.device(device, customer)
    world.devices.swap(TENANT, contract, f"{number}", DeviceId(device), at=SWAP_AT, actor="li")


def pooled(world: MoneyWorld) -> None:
    """Three devices use 9,200 pages in May and 11,500 in June."""
    world.customer("pool")
    world.plans.publish(
        a_plan("pool", "0", mono=PageTariff(price=Decimal("0.08"), free_pages=10_000), carry_over_months=1)
    )
    lines = [a_line(f"p{number}", pool_id="p") for number in range(3)]
    world.contract(
        "k-pool", "pool", lines=lines, pools=[PagePool(pool_id="p", plan_id="pool", plan_edition=1)]
    )
    for number in range(3):
        world.device(f"pool-{number}", "pool")
        world.placed("k-pool", f"p{number}", f"pool-{number}")


def check_tracing(invoice: Invoice) -> None:
    """Every billed page lies between two statements; lines sum to the total and to the pages of the devices."""
    assert invoice.total == sum(line.amount for line in invoice.lines) >= 0
    for used in invoice.usage:
        assert used.segments, used.device_id
        assert used.mono == sum(row.mono for row in used.segments)
        assert used.colour == sum(row.colour for row in used.segments)
        for row in used.segments:
            assert row.opening.evidence
            assert row.closing.evidence
            known = (row.opening.total, row.closing.total)
            if not row.flag:
                assert known[1] - known[0] == row.mono + row.colour
    by_group: dict[str, int] = {}
    for used in invoice.usage:
        group = "pool:p" if used.line_id.startswith("p") else f"line:{used.line_id}"
        if used.month == invoice.period_from.replace(day=1):
            by_group[f"{group}/mono"] = by_group.get(f"{group}/mono", 0) + used.mono
            by_group[f"{group}/colour"] = by_group.get(f"{group}/colour", 0) + used.colour
    for line in invoice.lines:
        if line.kind in (LineKind.MONO, LineKind.COLOUR):
            assert by_group[line.rule] == line.pages


def month_end(world: MoneyWorld, fleet: Fleet, at: datetime) -> RunReport:
    """Run the month end, look at it from all sides, run it again."""
    world.clock.move_to(at)
    month = MAY if at < shanghai(6, 30) else JUNE
    began = time.process_time()
    report = world.billing.run(TENANT, month)
    assert time.process_time() - began < 60
    assert len(report.invoices) == report.written == -(-fleet.devices // 10) + 1
    for invoice in report.invoices:
        check_tracing(invoice)
    again = world.billing.run(TENANT, month)
    assert (again.written, again.invoices) == (0, report.invoices)
    numbers = sorted(int(row.invoice_number[-6:]) for row in report.invoices)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return report


def run_story(world: MoneyWorld, fleet: Fleet) -> None:
    """Live through May and June."""
    found_fleet(world, fleet)
    tell(world, fleet, shanghai(4, 30), shanghai(6, 1, 6))
    may = month_end(world, fleet, shanghai(6, 1, 6))
    used = {row.device_id: row for invoice in may.invoices for row in invoice.usage}
    estimated = {device for device, row in used.items() if row.estimated}
    assert estimated == {f"d{number:04d}" for number in range(fleet.silent)}
    boards = {device for device, row in used.items() if NEW_EPOCH in row.flags}
    assert boards == {f"d{number:04d}" for number in range(fleet.silent, fleet.silent + fleet.boards)}
    for number in range(fleet.devices):
        row, (mono, colour) = used[f"d{number:04d}"], rate(number)
        days = {"plain": 31, "silent": 31, "board": 30, "swap": 14}[fleet.kind(number)]
        last_hour = mono // 24 + 1  # an estimate reaches to midnight, the readings to 23:00
        assert abs(row.mono - mono * days) <= last_hour, (fleet.kind(number), row)
        assert abs(row.colour - colour * days) <= 1
    tell(world, fleet, shanghai(6, 1, 6), shanghai(7, 1, 6))
    june = month_end(world, fleet, shanghai(7, 1, 6))
    check_true_up(fleet, may, june)
    pool = {row.contract_id: row for row in june.invoices}["k-pool"]
    (pages,) = [line for line in pool.lines if line.kind is LineKind.MONO]
    assert (pages.quantity, pages.amount) == (700, Decimal("56.00"))


def check_true_up(fleet: Fleet, may: RunReport, june: RunReport) -> None:
    """Both months together cost exactly what the counters say: nothing of an estimate is left."""
    assert sum(len(row.trued_up) for row in june.invoices) == fleet.silent
    billed: dict[tuple[str, str], Decimal] = {}
    usage = {}
    for invoice in (*may.invoices, *june.invoices):
        for used in invoice.usage:
            usage[(used.month, used.device_id)] = used
        for line in invoice.lines:
            if line.kind in (LineKind.MONO, LineKind.COLOUR, LineKind.TRUE_UP):
                group, _, meter = line.rule.rpartition("/")
                key = (group.partition(":")[2], meter)
                billed[key] = billed.get(key, Decimal(0)) + line.amount
    for number in range(fleet.silent):
        months = [usage[(month, f"d{number:04d}")] for month in (MAY, JUNE)]
        assert not any(used.estimated for used in months)
        mono = sum(max(used.mono - 1000, 0) for used in months) * Decimal("0.08")
        colour = sum(used.colour for used in months) * Decimal("0.5")
        assert billed[(f"{number}", "mono")] == mono
        assert billed.get((f"{number}", "colour"), Decimal(0)) == colour
        first, last = months[0].segments[0].opening, months[1].segments[-1].closing
        assert sum(used.mono + used.colour for used in months) == last.total - first.total


def test_story_3_in_small() -> None:
    run_story(MoneyWorld(uow_factory=make_memory_uow_factory(), store=MemoryTelemetryStore()), SMALL)


@pytest.mark.heavy
def test_story_3_month_end_of_1200_devices(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/crm.db")
    uow_factory = make_uow_factory(f"sqlite:///{tmp_path}/crm.db")
    clock = ManualClock(shanghai(4, 30))
    store = SqliteTelemetryStore(tmp_path / "telemetry.db", clock)
    try:
        run_story(MoneyWorld(uow_factory=uow_factory, store=store, clock=clock), STORY)
    finally:
        store.close()
        uow_factory.close()
