"""Which device served which line when, followed from where the devices really stood. Pure.

Whoever swaps, lends or takes away a machine closes and opens installed periods; the lines of the agreement follow them
here, so that a swap in the middle of a month is billed without anybody writing it down twice. What cannot be told is a
problem for a person, never a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from crm_core.domain.contracts import Agreement, DeviceStay
from crm_core.domain.fleet import InstalledPeriod
from crm_core.domain.identity import DeviceId
from crm_core.domain.loans import Loan
from crm_core.domain.messages import packed


@dataclass(frozen=True, slots=True)
class Followed:
    """Stays as they really were, and devices that stand under the contract without a line (as packed messages)."""

    stays: tuple[DeviceStay, ...]
    problems: tuple[str, ...]


def follow(
    agreement: Agreement,
    periods: Mapping[DeviceId, Sequence[InstalledPeriod]],
    loans: Sequence[Loan],
    zone: ZoneInfo,
) -> Followed:
    """Return the agreement's stays closed and continued by the installed periods and loans under its contract."""
    stays = [_closed(stay, agreement, periods.get(stay.device_id, ())) for stay in agreement.stays]
    stays += [lent for loan in loans if (lent := _lent(loan, stays, periods)) is not None]
    loose = sorted(
        (
            period
            for rows in periods.values()
            for period in rows
            if period.contract_id == agreement.contract_id and not _is_covered(period, stays)
        ),
        key=lambda period: period.from_instant,
    )
    problems = []
    begin = datetime.combine(agreement.terms[0].starts_on, time(), zone).astimezone(UTC)
    for period in loose:
        if period.to_instant is not None and period.to_instant <= begin:
            continue
        line_id = _free_line(agreement, stays, period)
        if line_id is None:
            problems.append(packed("billing.problem.no_line", device=period.device_id))
            continue
        stays.append(
            DeviceStay(
                line_id=line_id,
                device_id=period.device_id,
                from_at=max(period.from_instant, begin),
                to_at=period.to_instant,
                start_count=period.start_count if period.from_instant >= begin else None,
                end_count=period.end_count,
            )
        )
    return Followed(tuple(stays), tuple(problems))


def _closed(stay: DeviceStay, agreement: Agreement, periods: Sequence[InstalledPeriod]) -> DeviceStay:
    """End a stay with the period that it was; a device without periods stays as the agreement says."""
    if stay.to_at is not None:
        return stay
    own = [
        row
        for row in periods
        if row.contract_id == agreement.contract_id
        and (row.to_instant is None or row.to_instant > stay.from_at)
    ]
    first = min(own, key=lambda row: row.from_instant, default=None)
    if first is None or first.to_instant is None:
        return stay
    return replace(stay, to_at=first.to_instant, end_count=first.end_count)


def _lent(
    loan: Loan, stays: Sequence[DeviceStay], periods: Mapping[DeviceId, Sequence[InstalledPeriod]]
) -> DeviceStay | None:
    """Return the stay of a stand-by machine on the line of the one that it stands in for, with its counts as stated."""
    out_at = loan.out_at
    if out_at is None or any(stay.device_id == loan.device_id and stay.from_at == out_at for stay in stays):
        return None
    for stay in stays:
        serves = stay.from_at <= out_at and (stay.to_at is None or out_at <= stay.to_at)
        if stay.device_id == loan.for_device and serves:
            stood = next((row for row in periods.get(loan.device_id, ()) if row.from_instant == out_at), None)
            return DeviceStay(
                line_id=stay.line_id,
                device_id=loan.device_id,
                from_at=out_at,
                to_at=loan.back_at,
                start_count=None if stood is None else stood.start_count,
                end_count=None if stood is None else stood.end_count,
            )
    return None


def _is_covered(period: InstalledPeriod, stays: Sequence[DeviceStay]) -> bool:
    """Return True if a stay of the device shares time with the period."""
    whole = DeviceStay(
        line_id="", device_id=period.device_id, from_at=period.from_instant, to_at=period.to_instant
    )
    return any(stay.device_id == period.device_id and stay.overlaps(whole) for stay in stays)


def _free_line(agreement: Agreement, stays: Sequence[DeviceStay], period: InstalledPeriod) -> str | None:
    """Return the line that was left last before the period began; a line without any device is free too."""
    left: list[tuple[datetime, str]] = []
    for line in agreement.current.lines:
        ends = [stay.to_at for stay in stays if stay.line_id == line.line_id]
        if any(end is None or end > period.from_instant for end in ends):
            continue
        known = [end for end in ends if end is not None]
        left.append((max(known, default=datetime.min.replace(tzinfo=UTC)), line.line_id))
    return max(left)[1] if left else None
