"""The lines of a rent invoice: rents, pages beyond the free ones, and the truing-up of earlier estimates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from crm_core.agreements.price_changes import PlanOf, rent_of, tariff_plan
from crm_core.billing.history import BilledPast, estimate_key
from crm_core.billing.meters import MeterReader, window_of
from crm_core.billing.months import MonthPart, month_part
from crm_core.billing.pages_price import PagePrice, price_pages
from crm_core.domain.billing import (
    BillingPlan,
    DeviceUsage,
    GroupBalance,
    InvoiceLine,
    LineKind,
    PageTariff,
)
from crm_core.domain.contracts import Agreement, ContractLine, DeviceStay, Terms
from crm_core.domain.identity import DeviceId
from crm_core.domain.messages import packed
from crm_core.domain.money import to_cent

_METERS = (("mono", LineKind.MONO), ("colour", LineKind.COLOUR))


@dataclass(frozen=True, slots=True)
class Billed:
    """What one contract's invoice is made of."""

    lines: tuple[InvoiceLine, ...]
    usage: tuple[DeviceUsage, ...]
    balances: tuple[GroupBalance, ...]
    trued_up: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines whose pages are charged together: one line, or all of a pool."""

    name: str
    plan: BillingPlan
    line_ids: frozenset[str]


class MonthlyBill:
    """Makes the lines of one agreement; `past` is changed as months are added to it."""

    def __init__(
        self,
        agreement: Agreement,
        stays: Sequence[DeviceStay],
        past: BilledPast,
        plan_of: PlanOf,
        reader: MeterReader,
    ) -> None:
        self._agreement = agreement
        self._stays = stays
        self._past = past
        self._plan_of = plan_of
        self._reader = reader
        self._lines: list[InvoiceLine] = []
        self._usage: list[DeviceUsage] = []
        self._balances: list[GroupBalance] = []
        self._trued_up: list[str] = []

    def make(self, parts: Sequence[MonthPart]) -> Billed:
        """Return lines and evidence of the months `parts`, with what earlier estimates turn out to be."""
        self._true_up(parts[0].month)
        for part in parts:
            terms = self._agreement.terms_on(part.last)
            for line in terms.lines:
                self._rent(line, terms, part)
            self._measure(part)
            for group in self._groups(terms):
                self._pages(group, part)
        return Billed(tuple(self._lines), tuple(self._usage), tuple(self._balances), tuple(self._trued_up))

    # --- rent ---

    def _rent(self, line: ContractLine, terms: Terms, part: MonthPart) -> None:
        rent = rent_of(line, self._plan_of)
        if not rent:
            return
        amount = to_cent(_exact(Fraction(rent) * part.share))
        days = "" if part.whole else f"{part.first:%d}-{part.last:%d}"
        self._lines.append(
            InvoiceLine(
                kind=LineKind.RENT,
                text=packed("billing.line.rent", line=line.line_id, month=f"{part.month:%Y-%m}", days=days),
                amount=amount,
                unit_price=rent,
                line_id=line.line_id,
                month=part.month,
            )
        )
        if terms.term_discount:
            self._lines.append(
                InvoiceLine(
                    kind=LineKind.TERM_DISCOUNT,
                    text=packed("billing.line.term_discount", percent=_percent(terms.term_discount)),
                    amount=-to_cent(_exact(Fraction(rent) * part.share * Fraction(terms.term_discount))),
                    line_id=line.line_id,
                    month=part.month,
                    rule="term_discount",
                )
            )

    # --- pages ---

    def _measure(self, part: MonthPart) -> None:
        """Find the usage of every device in the month."""
        for line_id, device_id in dict.fromkeys((stay.line_id, stay.device_id) for stay in self._stays):
            used = self._measured(line_id, device_id, part)
            if used is not None:
                self._past.replace_usage(used)
                self._usage.append(used)

    def _measured(self, line_id: str, device_id: DeviceId, part: MonthPart) -> DeviceUsage | None:
        """Return the usage of a device on a line, all its stays of the month together; None when it was not there."""
        found: list[DeviceUsage] = []
        for stay in self._stays:
            window = window_of(stay, part.month, self._reader.zone, part.first, part.last)
            if window is None or (stay.line_id, stay.device_id) != (line_id, device_id):
                continue
            opening = self._past.opening(part.month, line_id, device_id)
            if opening is not None and window.since == stay.from_at and opening.at < stay.from_at:
                opening = None  # the device came anew: what it printed in between is not this contract's
            found.append(self._reader.usage(self._agreement.tenant, stay, window, opening))
        return merged(found) if found else None

    def _groups(self, terms: Terms) -> list[_Group]:
        groups: dict[str, _Group] = {}
        for line in terms.lines:
            name = f"pool:{line.pool_id}" if line.pool_id is not None else f"line:{line.line_id}"
            known = groups.get(name)
            ids = (known.line_ids if known else frozenset()) | {line.line_id}
            groups[name] = _Group(name, tariff_plan(line, terms, self._plan_of), ids)
        return list(groups.values())

    def _pages(self, group: _Group, part: MonthPart) -> None:
        for meter, kind in _METERS:
            tariff: PageTariff = getattr(group.plan, meter)
            price = self._priced(group, meter, part)
            if not (price.pages or price.free or price.carried_in):
                continue
            self._lines.append(
                InvoiceLine(
                    kind=kind,
                    text=packed(
                        f"billing.line.pages_{meter}",
                        group=group.name.partition(":")[2],
                        month=f"{part.month:%Y-%m}",
                        pages=price.pages,
                        free=price.free + price.carried_in,
                    ),
                    amount=price.amount,
                    quantity=Decimal(price.billed),
                    unit_price=None if tariff.steps else tariff.price,
                    line_id=min(group.line_ids) if group.name.startswith("line:") else None,
                    month=part.month,
                    pages=price.pages,
                    free_pages=price.free + price.carried_in,
                    rule=f"{group.name}/{meter}",
                )
            )
            self._keep(group, meter, part, price)

    def _priced(self, group: _Group, meter: str, part: MonthPart) -> PagePrice:
        tariff: PageTariff = getattr(group.plan, meter)
        pages = sum(
            getattr(used, meter) for used in self._past.usage_of(part.month) if used.line_id in group.line_ids
        )
        free = -(
            -tariff.free_pages * part.share.numerator // part.share.denominator
        )  # a begun page is the customer's
        return price_pages(
            pages,
            tariff,
            part.month,
            carried=self._past.carried(part.month, group.name, meter),
            carry_over_months=group.plan.carry_over_months,
            free_pages=free,
        )

    def _keep(self, group: _Group, meter: str, part: MonthPart, price: PagePrice) -> None:
        balance = GroupBalance(
            group=group.name,
            meter=meter,
            month=part.month,
            pages=price.pages,
            free=price.free,
            carried_in=price.carried_in,
            billed=price.billed,
            carried_out=price.carried_out,
        )
        self._past.balances[(part.month, group.name, meter)] = balance
        key = (part.month, group.name, meter)
        self._past.amounts[key] = self._past.amounts.get(key, Decimal(0)) + price.amount
        self._balances.append(balance)

    # --- estimates of earlier months ---

    def _true_up(self, before: date) -> None:
        """Measure earlier estimates and statements again; bill the difference of every month that they touch, to the cent."""
        touched: list[date] = []
        for used in self._past.to_settle():
            again = self._again(used)
            if again is not None:
                self._past.replace_usage(again)
                self._usage.append(again)
                self._trued_up.append(estimate_key(used))
                touched.append(used.month)
        if not touched:
            return
        months = sorted({month for month, _, _ in self._past.balances if min(touched) <= month < before})
        for month in months:
            part = month_part_of(self._agreement, month)
            for group in self._groups(self._agreement.terms_on(part.last)):
                for meter, _ in _METERS:
                    self._difference(group, meter, part)

    def _again(self, used: DeviceUsage) -> DeviceUsage | None:
        """Return the usage by what is known now, or None while nothing better is known."""
        part = month_part_of(self._agreement, used.month)
        again = self._measured(used.line_id, used.device_id, part)
        if again is None or again.estimated:
            return None
        same = (again.mono, again.colour, again.closing) == (used.mono, used.colour, used.closing)
        return None if same and not used.estimated else again

    def _difference(self, group: _Group, meter: str, part: MonthPart) -> None:
        key = (part.month, group.name, meter)
        if key not in self._past.balances:
            return
        price, billed = self._priced(group, meter, part), self._past.amounts.get(key, Decimal(0))
        known = self._past.balances[key]
        if price.amount != billed:
            self._lines.append(
                InvoiceLine(
                    kind=LineKind.TRUE_UP,
                    text=packed(
                        f"billing.line.true_up_{meter}",
                        group=group.name.partition(":")[2],
                        month=f"{part.month:%Y-%m}",
                        estimated=known.pages,
                        measured=price.pages,
                    ),
                    amount=price.amount - billed,
                    month=part.month,
                    pages=price.pages - known.pages,
                    rule=f"{group.name}/{meter}",
                )
            )
        self._past.amounts[key] = Decimal(0)
        self._keep(group, meter, part, price)


def merged(found: Sequence[DeviceUsage]) -> DeviceUsage:
    """Return the usages of one device as one."""
    return replace(
        found[0],
        mono=sum(row.mono for row in found),
        colour=sum(row.colour for row in found),
        segments=tuple(segment for row in found for segment in row.segments),
        flags=tuple(dict.fromkeys(flag for row in found for flag in row.flags)),
        estimated=any(row.estimated for row in found),
    )


def month_part_of(agreement: Agreement, month: date) -> MonthPart:
    """Return the part of a month that was billed."""
    part = month_part(agreement, month)
    if part is None:
        raise AssertionError(f"contract {agreement.contract_id} did not run in {month:%Y-%m}")
    return part


def _exact(amount: Fraction) -> Decimal:
    """Return a fraction as a decimal with more places than any cent needs."""
    return Decimal(amount.numerator) / Decimal(amount.denominator)


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}"
