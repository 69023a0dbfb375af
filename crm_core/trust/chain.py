"""Verifies the audit chain: each event against its hash and predecessor, the whole against its head and its anchors.

An anchor is a signed note of "the chain was this long and ended so" that is kept outside the database: whoever cuts
the tail off, or writes the whole chain anew, cannot make the older anchors fit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crm_core.domain.identity import TenantId
from crm_core.domain.trust import GENESIS, AuditEvent, ChainHead, chain_hash
from crm_core.domain.wire import instant_to_json
from crm_core.ports import PersonalLock, UnitOfWorkFactory

_BATCH = 5000
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A signed note of the chain's length and end at an instant."""

    tenant: TenantId
    number: int
    chain: str
    at: datetime
    signature: str

    @property
    def message(self) -> str:
        """What is signed."""
        return f"{self.tenant}\n{self.number}\n{self.chain}\n{instant_to_json(self.at)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What a verification found. `problems` is empty for a whole chain."""

    events: int
    head: ChainHead | None
    anchors: int
    last_anchor_at: datetime | None
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class _Walk:
    number: int = 0
    chain: str = GENESIS
    problems: list[str] = field(default_factory=list)

    def take(self, event: AuditEvent) -> None:
        """Check one event against what came before."""
        if event.number != self.number + 1:
            gap = (
                f"{self.number + 1}"
                if event.number == self.number + 2
                else f"{self.number + 1} to {event.number - 1}"
            )
            self.problems.append(f"events {gap} are missing")
        elif event.previous != self.chain:
            self.problems.append(f"event {event.number} does not follow event {self.number}")
        if chain_hash(event) != event.chain:
            self.problems.append(f"event {event.number} ({event.at:%Y-%m-%d %H:%M} UTC) was changed")
        self.number, self.chain = event.number, event.chain


def make_anchor(lock: PersonalLock, head: ChainHead, at: datetime) -> Anchor:
    """Return the signed note of a chain's end."""
    bare = Anchor(tenant=head.tenant, number=head.number, chain=head.chain, at=at, signature="")
    return Anchor(
        tenant=bare.tenant, number=bare.number, chain=bare.chain, at=at, signature=lock.sign(bare.message)
    )


def verify_chain(
    uow_factory: UnitOfWorkFactory, tenant: TenantId, anchors: Sequence[Anchor], lock: PersonalLock
) -> ChainReport:
    """Walk through all events of a tenant; every change, gap, cut tail and broken anchor is a problem."""
    ours = [anchor for anchor in anchors if anchor.tenant == tenant]
    wanted = {anchor.number: anchor for anchor in ours}
    walk = _Walk()
    with uow_factory() as uow:
        head = uow.trust.head(tenant)
        while walk.number < (head.number if head else 0):
            batch = uow.trust.events(tenant, walk.number, _BATCH)
            if not batch:
                break
            for event in batch:
                walk.take(event)
                anchor = wanted.get(event.number)
                if anchor is not None and anchor.chain != event.chain:
                    walk.problems.append(
                        f"event {event.number} is not the one that was anchored at {anchor.at}"
                    )
                if len(walk.problems) >= _MOST_PROBLEMS:
                    break
            if len(walk.problems) >= _MOST_PROBLEMS:
                break
    walk.problems.extend(_end_problems(walk, head, ours, lock))
    return ChainReport(
        events=walk.number,
        head=head,
        anchors=len(ours),
        last_anchor_at=max((anchor.at for anchor in ours), default=None),
        problems=tuple(walk.problems[:_MOST_PROBLEMS]),
    )


def _end_problems(
    walk: _Walk, head: ChainHead | None, anchors: Sequence[Anchor], lock: PersonalLock
) -> Iterable[str]:
    if len(walk.problems) >= _MOST_PROBLEMS:
        return
    if head is not None and head.number > walk.number:
        yield f"the end is missing: {head.number} events were written, {walk.number} are there"
    elif head is not None and (head.number, head.chain) != (walk.number, walk.chain):
        yield f"the last event is not the one that was written as number {head.number}"
    longest = max((anchor.number for anchor in anchors), default=0)
    if longest > walk.number:
        yield f"the end is missing: {longest} events were anchored, {walk.number} are there"
    for anchor in anchors:
        if not lock.is_signed(anchor.message, anchor.signature):
            yield f"the anchor of {anchor.at} for event {anchor.number} was changed, or its key is gone"
