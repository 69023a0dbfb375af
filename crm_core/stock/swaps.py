"""How a change of cartridge shows in successive looks at one slot. Pure: the same looks always give the same swaps.

Strong signs are another serial and a rise that no gauge makes by itself; a rise must be seen twice, because gauges
glitch. A small jump, up or down, counts only when it lands on the level with which an earlier cartridge came out: then
that one was put back. A gauge without numbers shows a swap when its complaint is gone while printing went on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from crm_core.conditions import FaultCodes, consumables, is_asleep, observe
from crm_core.domain.cartridges import Cartridge, PendingJump, SwapEvidence
from crm_core.domain.stock_policy import SwapPolicy
from crm_core.domain.telemetry import DeviceReading, MarkerSupply, SomeRemaining
from crm_core.metering import meter_step

_FULL: Final = 100.0
#: How many times as much as usual a page may take before a fall of the level needs another explanation.
_HEAVY_COVERAGE: Final = 3.0
_LEARNED_PAGES: Final = 100  # so many pages say what a page usually takes


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLook:
    """What one reading says about one slot; `percent` None where the gauge gives no number."""

    at: datetime
    index: str
    kind: str | None
    colour: str | None
    percent: float | None
    some_left: bool
    serial: str | None
    low: bool
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The end of a cartridge: when the next one was in, with how much left the old one came out, and how it shows."""

    at: datetime
    residual: float | None
    margin: float | None
    evidence: SwapEvidence
    first_percent: float | None  # of the next one
    pages: int  # printed with the old one


def looks(reading: DeviceReading, book: FaultCodes) -> Iterator[SlotLook]:
    """Yield what a reading says about its toner and ink; nothing while the device sleeps or did not answer for them."""
    if is_asleep(reading) or "supplies" in reading.incomplete:
        return
    low = {cause for cause in observe(reading, book).conditions if cause.startswith("supply.")}
    slots = consumables(reading)
    alone = len(slots) == 1  # then a complaint that names no supply means this one
    for supply in slots:
        derived = reading.derived_supply(supply.index)
        yield SlotLook(
            at=reading.polled_at,
            index=supply.index,
            kind=(derived.kind if derived else None) or supply.type,
            colour=(derived.colour if derived else None) or supply.colorant,
            percent=_percent(supply, derived.level_percent if derived else None),
            some_left=isinstance(supply.reading, SomeRemaining),
            serial=(derived.serial if derived else None) or None,
            low=f"supply.{supply.index}" in low or (alone and "supply.any" in low),
            count=reading.counters.life_count,
        )


def _percent(supply: MarkerSupply, derived: float | None) -> float | None:
    percent = supply.percent if supply.percent is not None else derived
    return None if percent is None else min(percent, _FULL)


def step(
    before: Cartridge, look: SlotLook, policy: SwapPolicy, residuals: Callable[[], Sequence[float]]
) -> tuple[Cartridge, Removed | None]:
    """Return the cartridge after one more look and, when another one is in now, how the old one ended.

    `residuals` gives the levels with which cartridges came out that might be put back here; asked for only when needed. The cartridge returned with a
    `Removed` is the old one up to its last look.
    """
    if look.at <= before.last_at:
        return before, None
    pages = meter_step(before.last_count, look.count).pages
    if look.serial and before.serial and look.serial != before.serial:
        return before, _ended(before, look, pages, SwapEvidence.SERIAL, look.percent)
    if before.pending is not None and look.percent is not None:
        ended = _confirmed(before, before.pending, look)
        if ended is not None:
            return before, ended
    jump = _jump(before, look, pages, policy, residuals)
    if jump is not None:
        return _noted(before, look, pages, pending=jump), None
    waiting = before.pending if look.percent is None else None  # a mute look confirms and refutes nothing
    after = _noted(_with_complaint(before, look, pages), look, pages, pending=waiting)
    if _complaint_is_over(after, policy):
        quiet = after.quiet_since or look.at
        return after, Removed(
            at=quiet,
            residual=before.last_percent if look.percent is not None else None,
            margin=None,
            evidence=SwapEvidence.COMPLAINT,
            first_percent=look.percent,
            pages=after.pages - after.quiet_pages,
        )
    return _with_level(after, look), None


def _ended(
    before: Cartridge, look: SlotLook, pages: int, evidence: SwapEvidence, first: float | None
) -> Removed:
    return Removed(
        at=look.at,
        residual=before.last_percent,
        margin=_margin(before, pages),
        evidence=evidence,
        first_percent=first,
        pages=before.pages,
    )


def _confirmed(before: Cartridge, pending: PendingJump, look: SlotLook) -> Removed | None:
    """Return the end of the old cartridge if the jump stayed: what was printed since leads rather here from its level."""
    assert look.percent is not None
    pages = before.pages - pending.pages + meter_step(before.last_count, look.count).pages
    used = pages * (_points_a_page(before) or 0.0)
    if abs(look.percent - (pending.percent - used)) >= abs(look.percent - (pending.before - used)):
        return None
    return Removed(
        at=pending.at,
        residual=pending.before,
        margin=_margin(before, 0),
        evidence=SwapEvidence.LEVEL if pending.sure else SwapEvidence.PATTERN,
        first_percent=pending.percent,
        pages=pending.pages,
    )


def _jump(
    before: Cartridge,
    look: SlotLook,
    pages: int,
    policy: SwapPolicy,
    residuals: Callable[[], Sequence[float]],
) -> PendingJump | None:
    """Return the jump that this look shows, if it may be a swap; a named serial that stays the same forbids it."""
    last = before.last_percent
    if last is None or look.percent is None or (look.serial and look.serial == before.serial):
        return None
    rise = look.percent - last
    step_of_gauge = before.smallest_step or 1.0
    sure = rise >= max(policy.sure_rise, step_of_gauge + 1.0)
    if not sure and not _is_odd(before, rise, pages, policy):
        return None
    if not sure and not any(abs(look.percent - each) <= policy.match_within for each in residuals()):
        return None
    return PendingJump(at=look.at, percent=look.percent, before=last, sure=sure, pages=before.pages)


def _is_odd(before: Cartridge, rise: float, pages: int, policy: SwapPolicy) -> bool:
    """Return True for a change that neither the gauge's steps nor the pages explain."""
    least = max(policy.small_jump, (before.smallest_step or 1.0) + 1.0)
    if rise >= least:
        return True
    usual = _points_a_page(before)
    return usual is not None and -rise >= least + pages * usual * _HEAVY_COVERAGE


def _points_a_page(before: Cartridge) -> float | None:
    """Return what a page takes from this cartridge, in points, once it has printed enough to say."""
    if before.first_percent is None or before.last_percent is None or before.pages < _LEARNED_PAGES:
        return None
    return max(0.0, before.first_percent - before.last_percent) / before.pages


def _margin(before: Cartridge, pages: int) -> float:
    """Return how far the residual may be off: half a step of the gauge, and what was printed unseen."""
    return max(1.0, (before.smallest_step or 1.0) / 2) + pages * (_points_a_page(before) or 0.0)


def _noted(before: Cartridge, look: SlotLook, pages: int, pending: PendingJump | None) -> Cartridge:
    """Return the cartridge with time, count and pages of a look; the level stays what it was."""
    return replace(
        before,
        last_at=look.at,
        last_count=look.count if look.count is not None else before.last_count,
        pages=before.pages + pages,
        serial=before.serial or look.serial,
        pending=pending,
    )


def _with_level(before: Cartridge, look: SlotLook) -> Cartridge:
    if look.percent is None:
        return before
    change = abs(look.percent - before.last_percent) if before.last_percent is not None else 0.0
    smallest = before.smallest_step
    if change > 0 and (smallest is None or change < smallest):
        smallest = change
    first = before.first_percent if before.first_percent is not None else look.percent
    return replace(before, last_percent=look.percent, first_percent=first, smallest_step=smallest)


def _with_complaint(before: Cartridge, look: SlotLook, pages: int) -> Cartridge:
    """Return the cartridge with what the device says about being low; only gauges without numbers are judged by it."""
    if look.low:
        return replace(
            before, low_since=before.low_since or look.at, quiet_since=None, quiet_looks=0, quiet_pages=0
        )
    if before.low_since is None:
        return before
    if look.percent is not None:
        return replace(before, low_since=None, quiet_since=None, quiet_looks=0, quiet_pages=0)
    if not look.some_left:
        return before
    return replace(
        before,
        quiet_since=before.quiet_since or look.at,
        quiet_looks=before.quiet_looks + 1,
        quiet_pages=before.quiet_pages + (pages if before.quiet_since is not None else 0),
    )


def _complaint_is_over(after: Cartridge, policy: SwapPolicy) -> bool:
    return (
        after.low_since is not None
        and after.quiet_looks >= policy.quiet_looks
        and after.quiet_pages >= policy.quiet_pages
    )
