"""What earlier invoices of a contract say: where meters stood, which free pages are left, which estimates are open."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from crm_core.billing.meters import rests_on_statement
from crm_core.domain.billing import (
    CarryBucket,
    DeviceUsage,
    GroupBalance,
    Invoice,
    InvoiceState,
    LineKind,
    MeterPoint,
    Quality,
)

_TOLD: Final = frozenset({Quality.MEASURED, Quality.DAILY})
_PAGE_KINDS = frozenset({LineKind.MONO, LineKind.COLOUR, LineKind.TRUE_UP})
UsageKey = tuple[date, str, str]
GroupKey = tuple[date, str, str]


def estimate_key(usage: DeviceUsage) -> str:
    """Return the name under which an invoice says that it settled an estimate."""
    return f"{usage.month:%Y-%m}:{usage.line_id}:{usage.device_id}"


@dataclass(slots=True)
class BilledPast:
    """The past of one contract as its invoices tell it, later statements over earlier ones; it grows month by month."""

    usage: dict[UsageKey, DeviceUsage] = field(default_factory=dict)
    balances: dict[GroupKey, GroupBalance] = field(default_factory=dict)
    amounts: dict[GroupKey, Decimal] = field(default_factory=dict)
    billed_until: date | None = None

    @classmethod
    def of(cls, invoices: Sequence[Invoice]) -> "BilledPast":
        """Read the rent invoices of a contract in the order in which they were written."""
        past = cls()
        for invoice in sorted(invoices, key=lambda row: row.invoice_id):
            if invoice.run_key.startswith("rent:") and invoice.state is not InvoiceState.CREDITED:
                past.take(invoice)
        return past

    def take(self, invoice: Invoice) -> None:
        """Take one more invoice in."""
        for used in invoice.usage:
            self.usage[(used.month, used.line_id, used.device_id)] = used
        for balance in invoice.balances:
            self.balances[(balance.month, balance.group, balance.meter)] = balance
        for line in invoice.lines:
            if line.kind in _PAGE_KINDS and line.month is not None:
                group, _, meter = line.rule.rpartition("/")
                key = (line.month, group, meter)
                self.amounts[key] = self.amounts.get(key, Decimal(0)) + line.amount
        month = invoice.period_to.replace(day=1)
        self.billed_until = max(self.billed_until or month, month)

    def open_estimates(self) -> list[DeviceUsage]:
        """Return usages that are still estimated, oldest first."""
        return sorted(
            (row for row in self.usage.values() if row.estimated),
            key=lambda row: (row.month, row.line_id, row.device_id),
        )

    def to_settle(self) -> list[DeviceUsage]:
        """Return what the device itself may still correct, oldest first: estimates, and statements of people.

        A statement is settled when the device told its counter at the end of a later month.
        """
        told: dict[tuple[str, str], date] = {}
        for row in self.usage.values():
            if row.closing is not None and row.closing.quality in _TOLD:
                key = (row.line_id, row.device_id)
                told[key] = max(told.get(key, row.month), row.month)
        stated = [
            row
            for row in self.usage.values()
            if rests_on_statement(row) and told.get((row.line_id, row.device_id), date.min) <= row.month
        ]
        return sorted(
            [*self.open_estimates(), *(row for row in stated if not row.estimated)],
            key=lambda row: (row.month, row.line_id, row.device_id),
        )

    def opening(self, month: date, line_id: str, device_id: str) -> MeterPoint | None:
        """Return where the device's meter ended in the latest billed month before `month` on this line."""
        rows = [
            row
            for (each, line, device), row in self.usage.items()
            if each < month and line == line_id and device == device_id and row.closing is not None
        ]
        return max(rows, key=lambda row: row.month).closing if rows else None

    def carried(self, month: date, group: str, meter: str) -> tuple[CarryBucket, ...]:
        """Return the free pages that the month before left for `month`."""
        before = [
            row
            for (each, name, kind), row in self.balances.items()
            if each < month and name == group and kind == meter
        ]
        newest = max(before, key=lambda row: row.month, default=None)
        return () if newest is None else tuple(row for row in newest.carried_out if row.last_month >= month)

    def usage_of(self, month: date) -> list[DeviceUsage]:
        """Return all usages of a month."""
        return [row for (each, _, _), row in sorted(self.usage.items()) if each == month]

    def replace_usage(self, used: DeviceUsage) -> None:
        """Put a better statement in the place of an estimate."""
        self.usage[(used.month, used.line_id, used.device_id)] = used
