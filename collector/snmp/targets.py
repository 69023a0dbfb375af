"""What is polled, and in which order: targets taken in turn from sites that have a place free."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.snmp.engine import Community, Credential, SnmpTarget
from crm_core.domain.identity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTarget:
    """A device to poll. `host` is an IP address; ids are None for a probe."""

    host: str
    port: int = 161
    credential: Credential = field(default_factory=Community)
    context: str = ""
    tenant: str = DEFAULT_TENANT
    site_id: str | None = None
    device_id: str | None = None

    @property
    def key(self) -> str:
        """The device in the schedule: by id, or by address while it has none."""
        return f"{self.tenant}/{self.device_id or f'{self.host}:{self.port}'}"

    @property
    def snmp(self) -> SnmpTarget:
        plain = SnmpTarget(self.host, self.port, self.credential)
        return plain.in_context(self.context) if self.context else plain


class SiteQueue:
    """Targets to come, taken in turn from the sites that have a place free."""

    def __init__(self, targets: Iterable[PollTarget], cap: int) -> None:
        self._sites: dict[str | None, deque[PollTarget]] = {}
        for target in targets:
            self._sites.setdefault(target.site_id, deque()).append(target)
        self._ready = deque(self._sites)
        self._busy: Counter[str | None] = Counter()
        self._cap = cap
        self._left = sum(map(len, self._sites.values()))
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return self._left

    async def next(self) -> PollTarget | None:
        """Return the next target, waiting for a place at its site; None when all are taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ready or not self._left)
            if not self._left:
                return None
            site = self._ready.popleft()
            target = self._sites[site].popleft()
            self._left -= 1
            self._busy[site] += 1
            if self._sites[site] and self._busy[site] < self._cap:
                self._ready.append(site)
            if not self._left:
                self._changed.notify_all()
            return target

    async def done(self, target: PollTarget) -> None:
        """Free the target's place."""
        async with self._changed:
            site = target.site_id
            self._busy[site] -= 1
            if self._sites[site] and self._busy[site] == self._cap - 1:
                self._ready.append(site)
                self._changed.notify()
