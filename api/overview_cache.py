"""Fleet health and the manager's figures, told at once however large the fleet is.

A small fleet is looked at anew for each question, so that a change shows at once. Where a look takes longer than a
twentieth of a second, the last one is told (with its `as_of`) while a single thread looks again: at most a tenth of one
core goes into looking, and an answer is at most `OLDEST_SECONDS` plus one look old. A process looks once before it
serves (`prepare`), so that whoever asks first is answered like everybody else.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from crm_core.domain.identity import TenantId
from crm_core.fleet_health import FleetHealth, FleetOverview

QUICK_SECONDS: Final = 0.05
OLDEST_SECONDS: Final = 120.0
_LOOKS_APART: Final = 10.0  # times the seconds that a look takes
_MAX_VIEWS: Final = 64  # tenants and sets of regions that are remembered


Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class _View(Generic[Seen]):
    """One look: what was seen, when (monotonic seconds) and how long it took."""

    seen: Seen
    at: float
    seconds: float


class LookCache(Generic[Seen]):
    """What `look(tenant, regions)` sees, remembered for one process; empty regions = everywhere."""

    def __init__(
        self,
        look: Callable[[TenantId, tuple[str, ...]], Seen],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._see = look
        self._monotonic = monotonic
        self._views: dict[tuple[str, tuple[str, ...]], _View[Seen]] = {}
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None

    def newest(self, tenant: TenantId, regions: Sequence[str] = ()) -> Seen:
        """Return the newest look, see the top of this module for how new it is."""
        key = (tenant, tuple(regions))
        view = self._views.get(key)
        if view is None or view.seconds <= QUICK_SECONDS:
            return self._look(tenant, key[1]).seen
        if self._monotonic() - view.at > min(_LOOKS_APART * view.seconds, OLDEST_SECONDS):
            self._look_again(tenant, key[1])
        return view.seen

    def prepare(self, tenant: TenantId) -> None:
        """Take the first look now, before anybody asks."""
        self._look(tenant, ())

    def wait(self) -> None:
        """Wait for a look in progress, so that nothing runs on when the application stops."""
        looking = self._looking
        if looking is not None:
            looking.join()

    def _look(self, tenant: TenantId, regions: tuple[str, ...]) -> _View[Seen]:
        started = self._monotonic()
        seen = self._see(tenant, regions)
        ended = self._monotonic()
        view = _View(seen, ended, ended - started)
        if len(self._views) >= _MAX_VIEWS and (tenant, regions) not in self._views:
            self._views.clear()  # many sets of regions: their next questions look anew
        self._views[tenant, regions] = view
        return view

    def _look_again(self, tenant: TenantId, regions: tuple[str, ...]) -> None:
        """Look in a thread unless one looks already; those who come meanwhile get the last look."""
        with self._lock:
            if self._looking is not None and self._looking.is_alive():
                return
            self._looking = threading.Thread(
                target=self._look, args=(tenant, regions), name="newer look", daemon=True
            )
            self._looking.start()


class OverviewCache(LookCache[FleetOverview]):
    """`FleetHealth.overview` for one process."""

    def __init__(self, health: FleetHealth, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(health.overview, monotonic)

    def overview(self, tenant: TenantId, regions: Sequence[str] = ()) -> FleetOverview:
        """Return the newest look at the fleet."""
        return self.newest(tenant, regions)
