"""What everybody who changes agreements shares: one transaction, the version that was seen, an event for each step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from crm_core.domain.contracts import Agreement, ContractEvent, ContractState
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

Change = Callable[[UnitOfWork, Agreement], Agreement]


class AgreementChanges:
    """Changes agreements. Each change is one transaction, leaves an event, and checks the version if one is told."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self.zone = ZoneInfo(policy.sla.calendar.time_zone)

    @property
    def now(self) -> datetime:
        """The instant by the firm's clock."""
        return self._clock.now()

    @property
    def today(self) -> date:
        """The local day of the firm."""
        return self.now.astimezone(self.zone).date()

    def _change(
        self,
        tenant: TenantId,
        contract_id: str,
        change: Change,
        version: int | None = None,
        *,
        dry_run: bool = False,
    ) -> Agreement:
        """Change an agreement and return it; with `dry_run` everything but the commit."""
        with self._uow_factory() as uow:
            agreement = get_agreement(uow, tenant, contract_id, version)
            saved = uow.agreements.contracts.save(change(uow, agreement))
            if not dry_run:
                uow.commit()
        return saved

    def _noted(
        self, agreement: Agreement, actor: str, what: str, note: str = "", state: ContractState | None = None
    ) -> Agreement:
        """Return the agreement with one more event, in `state` when it goes there."""
        after = state or agreement.state
        event = ContractEvent(
            at=self.now, actor=actor, event=what, from_state=agreement.state, to_state=after, note=note
        )
        return replace(agreement, state=after, events=(*agreement.events, event))


def get_agreement(
    uow: UnitOfWork, tenant: TenantId, contract_id: str, version: int | None = None
) -> Agreement:
    """Return the agreement of a contract, or raise `NotFound`; `Conflict` when it is not the version that is told."""
    found = uow.agreements.contracts.of_contract(tenant, contract_id)
    if found is None:
        raise NotFound(
            f"there is no agreement for contract {contract_id[:64]!r}; list the contracts to see them"
        )
    if version is not None and version != found.version:
        raise Conflict(f"contract {contract_id} was changed meanwhile; read it again and repeat the change")
    return found
