"""Replays asked for over HTTP: they take a while, so they run beside the requests, one at a time, and are looked up by id."""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from crm_core.domain.errors import Conflict, DrumbeatError, NotFound
from crm_core.domain.identity import TenantId
from crm_core.domain.policy_replay import ReplayReport, ReplayRequest, ReplayState
from crm_core.ports.policy import PolicyDesk, PolicyReplays

_log = structlog.get_logger("drumbeat.replay")
_KEPT: Final = 20


class ReplayDesk:
    """Takes requests, runs them in a thread, and keeps the last answers (`ports.policy.ReplayDesk`)."""

    def __init__(
        self, replays: PolicyReplays, policies: PolicyDesk, check: Callable[[ReplayRequest], None]
    ) -> None:
        self._replays = replays
        self._policies = policies
        self._check = check
        self._states: OrderedDict[tuple[TenantId, str], ReplayState] = OrderedDict()
        self._lock = threading.Lock()
        self._running = False

    def ask(self, tenant: TenantId, request: ReplayRequest) -> ReplayState:
        """Begin a replay and return its state; raises `InvalidValue` at once, `Conflict` while another one runs."""
        self._check(request)
        self._policies.book_with(request.figures)
        with self._lock:
            if self._running:
                raise Conflict("another replay is running; ask again when it is done")
            self._running = True
        state = ReplayState(replay_id=f"r-{secrets.token_hex(8)}", request=request, progress=0.0)
        self._keep(tenant, state)
        threading.Thread(target=self._run, args=(tenant, state), name="replay", daemon=True).start()
        return state

    def look(self, tenant: TenantId, replay_id: str) -> ReplayState:
        """Return the state of a replay, or raise `NotFound`."""
        with self._lock:
            state = self._states.get((tenant, replay_id))
        if state is None:
            raise NotFound("there is no such replay; the last twenty are kept until the service stops")
        return state

    def newest(self, tenant: TenantId) -> ReplayState | None:
        """Return the replay that was asked for last, None when there is none."""
        with self._lock:
            ours = [state for (owner, _), state in self._states.items() if owner == tenant]
        return ours[-1] if ours else None

    def _run(self, tenant: TenantId, state: ReplayState) -> None:
        report: ReplayReport | None = None
        error: str | None = "the replay was interrupted"
        try:
            report = self._replays.replay(
                tenant,
                state.request,
                lambda done, of: self._keep(tenant, state.at(progress=done / of)),
            )
            error = None
        except DrumbeatError as reason:
            error = str(reason)
        finally:
            self._keep(tenant, state.at(progress=1.0, report=report, error=error))
            with self._lock:
                self._running = False
            _log.info("replay done", replay=state.replay_id, error=error)

    def _keep(self, tenant: TenantId, state: ReplayState) -> None:
        with self._lock:
            self._states[tenant, state.replay_id] = state
            while len(self._states) > _KEPT:
                self._states.popitem(last=False)
