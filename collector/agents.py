"""Which edge agents are there: the devices behind an agent that is off-line are out of reach, not silent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from collector.stores.reading_codec import at_ms, instant_of
from collector.stores.sqlite import SqliteTelemetryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """The agent of one site, on-line or not since `since`."""

    tenant: str
    site_id: str
    online: bool
    since: datetime
    version: str | None = None


class AgentBook(Protocol):
    """Keeps what agents and their last wills say."""

    def note(self, state: AgentState) -> None: ...

    def agents(self, tenant: str) -> tuple[AgentState, ...]: ...


class SqliteAgentBook:
    """The agents' states in the telemetry database."""

    def __init__(self, store: SqliteTelemetryStore) -> None:
        self._store = store

    def note(self, state: AgentState) -> None:
        """Keep the state; `since` moves only when on-line turns to off-line or back."""
        self._store.transaction(
            lambda db: db.execute(
                "INSERT INTO agent (tenant, site_id, online, changed_ms, version) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (tenant, site_id) DO UPDATE SET online = excluded.online, version = excluded.version, "
                "changed_ms = iif(online = excluded.online, changed_ms, excluded.changed_ms)",
                (state.tenant, state.site_id, state.online, at_ms(state.since), state.version),
            )
        )

    def agents(self, tenant: str) -> tuple[AgentState, ...]:
        """Return every agent that ever spoke."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT site_id, online, changed_ms, version FROM agent WHERE tenant = ? ORDER BY site_id",
                (tenant,),
            ).fetchall()
        return tuple(
            AgentState(
                tenant=tenant,
                site_id=site,
                online=bool(online),
                since=instant_of(changed * 1000),
                version=version,
            )
            for site, online, changed, version in rows
        )

    def offline_sites(self, tenant: str) -> frozenset[str]:
        """Return the sites whose agent is off-line: their devices cannot be heard."""
        return frozenset(state.site_id for state in self.agents(tenant) if not state.online)
