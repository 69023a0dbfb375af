"""Devices on the lines of an agreement, and the ends that cost money: early termination and loss."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from crm_core.agreements.changes import AgreementChanges, get_agreement
from crm_core.agreements.contract_money import termination_penalty, value_left
from crm_core.agreements.contract_states import ContractMove, next_state
from crm_core.agreements.drafts import plans_of
from crm_core.agreements.price_changes import rent_of
from crm_core.billing.deposits import return_deposit
from crm_core.billing.settling import add_item
from crm_core.domain.billing import AccountItem, LineKind
from crm_core.domain.contracts import Agreement, ContractEvent, ContractLine, DeviceStay
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.messages import packed
from crm_core.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class LinePlace:
    """A line of a contract."""

    contract_id: str
    line_id: str


class ContractDevices(AgreementChanges):
    """Places devices on lines, takes them away, and settles what ends before its time."""

    def place(
        self,
        tenant: TenantId,
        contract_id: str,
        line_id: str,
        device_id: DeviceId,
        *,
        actor: str,
        at: datetime | None = None,
        start_count: int | None = None,
    ) -> Agreement:
        """Let a device serve a line from an instant on; `Conflict` when line or device are taken then."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            return self._placed(uow, agreement, line_id, device_id, actor, at, start_count)

        return self._change(tenant, contract_id, change)

    def swap(
        self,
        tenant: TenantId,
        contract_id: str,
        line_id: str,
        device_id: DeviceId,
        *,
        actor: str,
        at: datetime | None = None,
        end_count: int | None = None,
        start_count: int | None = None,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """Put a device on a line in the place of the one that is there, if any: the rent goes on, pages are each one's own."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            if _serving(agreement, line_id) is not None:
                agreement = self._taken_away(uow, agreement, line_id, actor, at, end_count)
            return self._placed(uow, agreement, line_id, device_id, actor, at, start_count)

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def take_away(
        self,
        tenant: TenantId,
        contract_id: str,
        line_id: str,
        *,
        actor: str,
        at: datetime | None = None,
        end_count: int | None = None,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """End the present device's stay on a line."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            return self._taken_away(uow, agreement, line_id, actor, at, end_count)

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def _placed(
        self,
        uow: UnitOfWork,
        agreement: Agreement,
        line_id: str,
        device_id: DeviceId,
        actor: str,
        at: datetime | None,
        start_count: int | None,
    ) -> Agreement:
        device = uow.devices.get(agreement.tenant, device_id)
        if device.customer_id not in (None, agreement.customer_id):
            raise Conflict(f"device {device_id} stands at customer {device.customer_id}; move it first")
        begin = at or self._clock.now()
        placed = _with_stay(agreement, line_id, device_id, begin, start_count)
        uow.devices.save(replace(device, contract_id=agreement.contract_id))
        return self._noted(placed, actor, "placed", f"{device_id} on {line_id}")

    def _taken_away(
        self,
        uow: UnitOfWork,
        agreement: Agreement,
        line_id: str,
        actor: str,
        at: datetime | None,
        end_count: int | None,
    ) -> Agreement:
        present = _serving(agreement, line_id)
        if present is None:
            raise Conflict(f"line {line_id} has no device to take away")
        end = at or self._clock.now()
        if end <= present.from_at:
            raise InvalidValue("a device leaves after it came")
        closed = replace(present, to_at=end, end_count=end_count)
        device = uow.devices.find(agreement.tenant, present.device_id)
        if device is not None and device.contract_id == agreement.contract_id:
            uow.devices.save(replace(device, contract_id=None))
        stays = tuple(closed if row == present else row for row in agreement.stays)
        note = f"{present.device_id} from {line_id}"
        return self._noted(replace(agreement, stays=stays), actor, "taken_away", note)

    def report_lost(
        self,
        tenant: TenantId,
        contract_id: str,
        device_id: DeviceId,
        *,
        actor: str,
        on: date | None = None,
        dry_run: bool = False,
    ) -> Decimal:
        """Charge the depreciated value of a lost device on the next invoice and return it (requirement 14)."""
        day = on or self.today
        with self._uow_factory() as uow:
            agreement = get_agreement(uow, tenant, contract_id)
            stays = [row for row in agreement.stays if row.device_id == device_id]
            if not stays:
                raise NotFound(f"contract {contract_id} has no device {device_id}")
            line = _line(agreement, stays[-1].line_id)
            device = uow.devices.get(tenant, device_id)
            since = device.installed_on or stays[0].from_at.astimezone(self.zone).date()
            value = value_left(line.device_value, since, day, self._policy.agreements.contracts)
            made = add_item(
                uow,
                AccountItem(
                    tenant=tenant,
                    item_key=f"loss:{contract_id}:{device_id}",
                    customer_id=agreement.customer_id,
                    contract_id=agreement.contract_id,
                    kind=LineKind.LOSS,
                    amount=value,
                    text=packed("billing.line.loss", device=device_id, since=since, value=line.device_value),
                    created_at=self._clock.now(),
                    device_id=device_id,
                    rule="loss",
                ),
            )
            if made is None:
                raise Conflict(f"the loss of device {device_id} was charged already")
            uow.agreements.contracts.save(self._noted(agreement, actor, "lost", f"{device_id}: {value}"))
            if not dry_run:
                uow.commit()
        return value

    def terminate(
        self,
        tenant: TenantId,
        contract_id: str,
        last_day: date,
        reason: str,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
    ) -> tuple[Agreement, Decimal]:
        """End an agreement before its time after `last_day` and return it with the penalty (requirement 15).

        The penalty is half of the fixed rent of the whole months left; it waits for the last invoice, with a paid deposit.
        """
        if not reason.strip():
            raise InvalidValue("say why the contract ends before its time")
        with self._uow_factory() as uow:
            agreement = get_agreement(uow, tenant, contract_id, version)
            if not agreement.terms[0].starts_on <= last_day <= agreement.current.ends_on:
                raise InvalidValue("the last day lies within the term of the contract")
            penalty = self._penalty(uow, agreement, last_day)
            state = next_state(agreement.state, ContractMove.TERMINATE)
            end = datetime.combine(last_day + timedelta(days=1), time(), self.zone).astimezone(UTC)
            noted = self._noted(agreement, actor, "terminate", f"{reason.strip()}; {penalty}", state)
            ended = replace(
                noted,
                ended_on=last_day,
                end_reason=reason.strip(),
                stays=tuple(
                    replace(row, to_at=end) if row.to_at is None or row.to_at > end else row
                    for row in agreement.stays
                ),
            )
            saved = uow.agreements.contracts.save(ended)
            return_deposit(uow, agreement, self.today, self._clock.now())
            if not dry_run:
                uow.commit()
        return saved, penalty

    def _penalty(self, uow: UnitOfWork, agreement: Agreement, last_day: date) -> Decimal:
        plan_of = plans_of(uow, agreement.tenant)
        rent = sum((rent_of(line, plan_of) for line in agreement.current.lines), Decimal(0))
        policy = self._policy.agreements.contracts
        penalty = termination_penalty(rent, last_day, agreement.current.ends_on, policy)
        if penalty:
            add_item(
                uow,
                AccountItem(
                    tenant=agreement.tenant,
                    item_key=f"penalty:{agreement.contract_id}",
                    customer_id=agreement.customer_id,
                    contract_id=agreement.contract_id,
                    kind=LineKind.PENALTY,
                    amount=penalty,
                    text=packed(
                        "billing.line.penalty", contract=agreement.contract_id, rent=rent, last=last_day
                    ),
                    created_at=self._clock.now(),
                    rule="early_termination",
                ),
            )
        return penalty


def end_stay(
    uow: UnitOfWork, tenant: TenantId, device_id: DeviceId, at: datetime, count: int | None, actor: str
) -> None:
    """End the stay of a device that was carried away, within a transaction; one that has none is left alone."""
    for agreement in uow.agreements.contracts.of_device(tenant, device_id):
        present = next(
            (row for row in agreement.stays if row.device_id == device_id and row.to_at is None), None
        )
        if present is None or at <= present.from_at:
            continue
        closed = replace(present, to_at=at, end_count=count)
        state = agreement.state
        event = ContractEvent(
            at=at, actor=actor, event="taken_away", from_state=state, to_state=state,
            note=f"{device_id} from {present.line_id}",
        )  # fmt: skip
        stays = tuple(closed if row == present else row for row in agreement.stays)
        uow.agreements.contracts.save(replace(agreement, stays=stays, events=(*agreement.events, event)))


def begin_stay(
    uow: UnitOfWork, device: Device, place: LinePlace, at: datetime, count: int | None, actor: str
) -> Device:
    """Let a device that came to a customer serve a free line there, within a transaction; return it on that contract.

    `NotFound` for a contract of somebody else like for an absent one, `Conflict` when the line has a device.
    """
    agreement = get_agreement(uow, device.tenant, place.contract_id)
    if agreement.customer_id != device.customer_id:
        raise NotFound(f"the customer of the site has no contract {place.contract_id[:64]!r}")
    placed = _with_stay(agreement, place.line_id, device.device_id, at, count)
    state = agreement.state
    event = ContractEvent(
        at=at, actor=actor, event="placed", from_state=state, to_state=state,
        note=f"{device.device_id} on {place.line_id}",
    )  # fmt: skip
    uow.agreements.contracts.save(replace(placed, events=(*placed.events, event)))
    return replace(device, contract_id=agreement.contract_id)


def _with_stay(
    agreement: Agreement, line_id: str, device_id: DeviceId, begin: datetime, count: int | None
) -> Agreement:
    """Return the agreement with a device on a line that is free from `begin` on."""
    _line(agreement, line_id)
    new = DeviceStay(line_id=line_id, device_id=device_id, from_at=begin, start_count=count)
    if any(stay.line_id == line_id and stay.overlaps(new) for stay in agreement.stays):
        raise Conflict(f"line {line_id} has a device at that time; swap it or take it away first")
    return replace(agreement, stays=(*agreement.stays, new))


def _serving(agreement: Agreement, line_id: str) -> DeviceStay | None:
    """Return the stay of the device that serves a line now."""
    return next((row for row in agreement.stays if row.line_id == line_id and row.to_at is None), None)


def _line(agreement: Agreement, line_id: str) -> ContractLine:
    line = agreement.current.line(line_id)
    if line is None:
        raise NotFound(f"contract {agreement.contract_id} has no line {line_id[:64]!r}")
    return line
