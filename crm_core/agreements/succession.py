"""One agreement follows another: the draft made of the present terms, and the devices that stay where they stand."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm_core.agreements.contract_money import months_before_day
from crm_core.agreements.drafts import Draft
from crm_core.domain.contracts import Agreement, ContractState, DeviceStay
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import ContractId
from crm_core.ports import UnitOfWork

_MOST_MONTHS = 120


def successor_draft(
    agreement: Agreement, contract_id: ContractId, months: int, on_site_hours: int | None
) -> Draft:
    """Return a draft with the present lines, pools and clauses that begins the day after the agreement's last one."""
    if not 1 <= months <= _MOST_MONTHS:
        raise InvalidValue(f"a contract is renewed for 1 to {_MOST_MONTHS} months")
    terms = agreement.current
    starts_on = agreement.last_day + timedelta(days=1)
    return Draft(
        contract_id=contract_id,
        customer_id=agreement.customer_id,
        starts_on=starts_on,
        ends_on=months_before_day(starts_on, -months) - timedelta(days=1),
        lines=terms.lines,
        pools=terms.pools,
        deposit_share=terms.deposit_share,
        payment_cycle_months=terms.payment_cycle_months,
        assessment_id=agreement.assessment_id,
        on_site_hours=on_site_hours,
        clauses=terms.clauses,
        template=terms.template,
        template_version=terms.template_version,
    )


def predecessor_of(uow: UnitOfWork, agreement: Agreement) -> Agreement | None:
    """Return the renewed agreement that `agreement` follows, or None."""
    for earlier in uow.agreements.contracts.where(agreement.tenant, customer_id=agreement.customer_id):
        if earlier.successor_id == agreement.contract_id and earlier.state is ContractState.RENEWED:
            return earlier
    return None


def with_devices(uow: UnitOfWork, agreement: Agreement, zone: ZoneInfo) -> Agreement:
    """Return a signed successor with the devices of its predecessor on the lines of the same id, from its first day."""
    earlier = predecessor_of(uow, agreement)
    if earlier is None:
        return agreement
    begin = datetime.combine(agreement.current.starts_on, time(), zone).astimezone(UTC)
    staying = [
        stay
        for stay in earlier.stays
        if stay.to_at is None and stay.from_at < begin and agreement.current.line(stay.line_id) is not None
    ]
    ended = tuple(replace(stay, to_at=begin) if stay in staying else stay for stay in earlier.stays)
    uow.agreements.contracts.save(replace(earlier, stays=ended))
    for stay in staying:
        device = uow.devices.find(agreement.tenant, stay.device_id)
        if device is not None:
            uow.devices.save(replace(device, contract_id=agreement.contract_id))
    taken = tuple(
        DeviceStay(line_id=stay.line_id, device_id=stay.device_id, from_at=begin) for stay in staying
    )
    return replace(agreement, stays=(*agreement.stays, *taken))
