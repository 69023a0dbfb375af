"""The slots of one device: who is in, who came out, and by what the next one is recognised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from crm_core.conditions import FaultCodes
from crm_core.domain.cartridges import Cartridge, CartridgeFilter, CartridgeOrigin
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.money import Money
from crm_core.domain.policy import PolicyBook
from crm_core.domain.stock import StockItem
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import UnitOfWork
from crm_core.stock.fitting import fitting_item, known_price
from crm_core.stock.swap_effects import Swap, book_swap, clear_complaints
from crm_core.stock.swaps import Removed, SlotLook, looks, step


@dataclass(frozen=True, slots=True)
class SlotKnowledge:
    """What is known beforehand: the figures, the models with their prices, and what codes mean."""

    policy: PolicyBook
    catalogue: Catalogue
    book: FaultCodes


@dataclass(slots=True)
class DeviceSlots:
    """The slots of one device while its readings are looked through; `current` are the cartridges that are in."""

    uow: UnitOfWork
    bundle: DeviceBundle
    items: Sequence[StockItem]
    knowledge: SlotKnowledge
    current: dict[str, Cartridge]

    def take(self, series: Iterable[DeviceReading]) -> list[Swap]:
        """Look through readings in order and return the swaps; what is worth keeping is saved."""
        before = dict(self.current)
        found: list[Swap] = []
        for reading in series:
            swaps = [
                swap for look in looks(reading, self.knowledge.book) if (swap := self._look(look)) is not None
            ]
            found += [self._note(swap) for swap in _crossed(swaps)]
        for index, cartridge in self.current.items():
            if _says_more(cartridge, before.get(index)):
                self.uow.stock.save_cartridge(cartridge)
        return found

    def _look(self, look: SlotLook) -> Swap | None:
        present = self.current.get(look.index)
        if present is None:
            self.current[look.index] = self._first(look)
            return None
        policy = self.knowledge.policy.stock.swaps
        after, removed = step(present, look, policy, lambda: self._drawer_levels(present))
        if removed is None:
            self.current[look.index] = after
            return None
        old = self._closed(after, removed)
        new = self._inserted(old, removed, look)
        self.current[look.index] = new
        return Swap(removed=old, inserted=new)

    def _first(self, look: SlotLook) -> Cartridge:
        """Return the cartridge that is in when a slot is seen for the first time."""
        device = self.bundle.device
        item = fitting_item(self.items, device.model_id, look.kind, look.colour)
        return Cartridge(
            tenant=device.tenant,
            device_id=device.device_id,
            supply_index=look.index,
            number=1,
            kind=look.kind,
            colour=look.colour,
            origin=CartridgeOrigin.PRESENT,
            found_at=look.at,
            serial=look.serial,
            item_id=item.item_id if item else None,
            first_percent=look.percent,
            last_percent=look.percent,
            last_at=look.at,
            last_count=look.count,
            low_since=look.at if look.low else None,
        )

    def _closed(self, old: Cartridge, removed: Removed) -> Cartridge:
        """Return the old cartridge with its end: residual, whether that was early, and what it cost."""
        policy = self.knowledge.policy.stock.swaps
        residual, margin = removed.residual, removed.margin or 0.0
        early = residual is not None and residual - margin > policy.early_above
        return replace(
            old,
            pending=None,
            pages=removed.pages,
            removed_at=removed.at,
            residual_percent=residual,
            residual_margin=removed.margin,
            evidence=removed.evidence,
            early=early,
            loss=self._loss(old, residual) if early and residual is not None else None,
            customer_id=self.bundle.device.customer_id,
            site_id=self.bundle.device.site_id,
        )

    def _loss(self, cartridge: Cartridge, percent: float) -> Money | None:
        price = known_price(self.items, self.knowledge.catalogue, self.bundle.device.model_id, cartridge)
        return None if price is None else price.times(Decimal(str(percent)) / 100).rounded()

    def _inserted(self, old: Cartridge, removed: Removed, look: SlotLook) -> Cartridge:
        """Return the next cartridge of the slot, recognised by its serial or by the level it came out with."""
        fresh = Cartridge(
            tenant=old.tenant,
            device_id=old.device_id,
            supply_index=old.supply_index,
            number=old.number + 1,
            kind=look.kind or old.kind,
            colour=look.colour or old.colour,
            origin=CartridgeOrigin.NEW,
            found_at=look.at,
            installed_at=removed.at,
            serial=look.serial,
            item_id=old.item_id,
            first_percent=removed.first_percent if removed.first_percent is not None else look.percent,
            last_percent=look.percent,
            last_at=look.at,
            last_count=look.count,
            pages=max(0, old.pages - removed.pages),
        )
        earlier = self._recognised(fresh)
        if earlier is not None:
            self.uow.stock.save_cartridge(self._taken_back(earlier, fresh))
            strange = (earlier.kind, earlier.colour) != (fresh.kind, fresh.colour)
            return replace(
                fresh, origin=CartridgeOrigin.REINSERTED, came_from=earlier.key, wrong_slot=strange
            )
        part_used = (
            fresh.first_percent is not None
            and fresh.first_percent < self.knowledge.policy.stock.swaps.new_from
        )
        return replace(fresh, origin=CartridgeOrigin.USED) if part_used else fresh

    def _recognised(self, fresh: Cartridge) -> Cartridge | None:
        if fresh.serial is not None:
            known = self.uow.stock.cartridges_with_serial(fresh.tenant, fresh.serial)
            gone = [row for row in known if row.removed_at is not None]
            return max(gone, key=lambda row: row.removed_at or row.found_at, default=None)
        level, policy = fresh.first_percent, self.knowledge.policy.stock.swaps
        if level is None or level >= policy.new_from:
            return None
        close = [
            (abs(level - row.residual_percent), row)
            for row in self._drawer(fresh)
            if row.residual_percent is not None and abs(level - row.residual_percent) <= policy.match_within
        ]
        return min(close, key=lambda each: each[0])[1] if close else None

    def _drawer(self, like: Cartridge) -> list[Cartridge]:
        """Return the cartridges of the same kind and colour that came out at this site lately and lie in a drawer."""
        site_id, policy = self.bundle.device.site_id, self.knowledge.policy.stock.swaps
        if site_id is None:
            return []
        which = CartridgeFilter(
            site_id=site_id, removed=True, since=like.last_at - policy.remembered, limit=200
        )
        return [
            row
            for row in self.uow.stock.cartridges(like.tenant, which)
            if not row.taken_back
            and row.serial is None
            and (row.kind, row.colour) == (like.kind, like.colour)
            and row.residual_percent is not None
            and row.residual_percent > policy.early_above  # nobody keeps an empty one
        ]

    def _taken_back(self, earlier: Cartridge, fresh: Cartridge) -> Cartridge:
        """Return the earlier cartridge without the loss of what is now used after all."""
        left = 0.0
        if earlier.residual_percent is not None and fresh.first_percent is not None:
            left = max(0.0, earlier.residual_percent - fresh.first_percent)
        loss = self._loss(earlier, left) if earlier.loss is not None else None
        return replace(earlier, taken_back=True, loss=loss)

    def _drawer_levels(self, like: Cartridge) -> list[float]:
        return [row.residual_percent for row in self._drawer(like) if row.residual_percent is not None]

    def _note(self, swap: Swap) -> Swap:
        """Save both ends of a swap, book what moved, and let the complaints about the old cartridge go."""
        self.uow.stock.save_cartridge(swap.removed)
        inserted = book_swap(self.uow, swap, self.bundle, self.knowledge.policy.stock.swaps.around_visit)
        self.current[inserted.supply_index] = inserted
        self.uow.stock.save_cartridge(inserted)
        clear_complaints(self.uow, swap, self.knowledge.policy.triage)
        return replace(swap, inserted=inserted)


def _says_more(now: Cartridge, before: Cartridge | None) -> bool:
    """Return True if a cartridge is worth saving: pages and time alone follow from the next look again."""
    if before is None:
        return True
    return replace(now, last_at=before.last_at, last_count=before.last_count, pages=before.pages) != before


def _crossed(swaps: Sequence[Swap]) -> list[Swap]:
    """Mark two swaps of one moment as in the wrong slots when each level went where the other one was."""
    marked = list(swaps)
    for i, one in enumerate(marked):
        for j, other in enumerate(marked):
            if i < j and _went_over(one, other) and _went_over(other, one):
                marked[i] = replace(one, inserted=_misplaced(one.inserted, other.removed))
                marked[j] = replace(other, inserted=_misplaced(other.inserted, one.removed))
    return marked


def _went_over(one: Swap, other: Swap) -> bool:
    """Return True if the cartridge that came out of `one` is, by its level or serial, the one that went into `other`."""
    if one.removed.serial and other.inserted.serial:
        return one.removed.serial == other.inserted.serial
    left, first = one.removed.residual_percent, other.inserted.first_percent
    return (
        left is not None
        and first is not None
        and abs(left - first) <= 1.0
        and one.removed.colour != other.inserted.colour
    )


def _misplaced(inserted: Cartridge, source: Cartridge) -> Cartridge:
    return replace(inserted, origin=CartridgeOrigin.REINSERTED, came_from=source.key, wrong_slot=True)
