"""The port of the policy: figures by date, their history, and the switch that lets a change come into force."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

from crm_core.domain.identity import TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_figures import FigureValue, PolicyChange, PolicyFigure, PolicyVersionInfo
from crm_core.domain.policy_replay import ReplayReport, ReplayRequest, ReplayState


class PolicyDesk(Protocol):
    """What people ask of the policy. Every change is validated as a whole before anything is written."""

    def figures(self, day: date | None = None) -> Sequence[PolicyFigure]:
        """Return all figures in force on a day (today unless told), by key."""
        ...

    def versions(self) -> Sequence[PolicyVersionInfo]:
        """Return all versions, the oldest first."""
        ...

    def book_with(self, figures: Mapping[str, FigureValue]) -> PolicyBook:
        """Return today's book with some figures changed, for a look ahead; `InvalidConfiguration` names a bad key."""
        ...

    def apply(self, change: PolicyChange, *, dry_run: bool = False) -> PolicyVersionInfo:
        """Let figures change from a date on, or only check it. Raises `InvalidValue`, `InvalidConfiguration`, `Conflict`."""
        ...


class PolicyReplays(Protocol):
    """The past year under another policy; `analytics.policy_replay` implements it."""

    def replay(
        self,
        tenant: TenantId,
        request: ReplayRequest,
        progress: Callable[[int, int], None] | None = None,
    ) -> ReplayReport:
        """Return the answer; raises `InvalidValue` for figures that cannot be or too short a history."""
        ...


class ReplayDesk(Protocol):
    """Replays that run beside the requests, one at a time."""

    def ask(self, tenant: TenantId, request: ReplayRequest) -> ReplayState:
        """Begin a replay; raises `InvalidValue` for what cannot be, `Conflict` while another one runs."""
        ...

    def look(self, tenant: TenantId, replay_id: str) -> ReplayState: ...

    def newest(self, tenant: TenantId) -> ReplayState | None: ...
