"""Imports: a table becomes customers, sites, contracts, devices or readings - all of it in one transaction, or nothing.

A dry run does everything but the commit and says what would happen, row by row. A file with a wrong row changes nothing
unless `skip_bad_rows` lets the good ones through. Rows of devices that nobody registered are named, never invented.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from crm_core.agreements.contract_desk import ContractDesk
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import DrumbeatError, InvalidValue
from crm_core.domain.fleet import (
    Customer,
    CustomerKind,
    Device,
    InstalledPeriod,
    OwnerState,
    Site,
    SnmpAddress,
    Transport,
)
from crm_core.domain.identity import TenantId
from crm_core.domain.money import Money
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.trust import AuditNote, Subject, SubjectKind
from crm_core.exchange.contracts import put_contract
from crm_core.exchange.fields import FIELDS, converted
from crm_core.exchange.readings import reading_of_row
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.customers import CustomerDesk
from crm_core.trust.personal import PersonalData

KINDS: Final = tuple(FIELDS)
MOST_ERRORS: Final = 200
SEALED: Final = ("identity_number", "registration_number")  # kept encrypted, never in the customer's row
Land = Callable[[Sequence[DeviceReading]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """What is wrong with one row; rows count from 2, as a spreadsheet shows them below the names of the columns."""

    row: int
    field: str
    reason: str


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What an import did, or would do in a dry run. `unknown` are devices of the file that nobody registered."""

    kind: str
    dry_run: bool
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    matched: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)  # print totals by account
    written: bool = False

    def note(self, row: int, wrong: Sequence[tuple[str, str]]) -> None:
        """Keep what is wrong with a row."""
        for name, reason in wrong:
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(RowError(row=row, field=name, reason=reason))


class Importer:
    """Takes rows in our field names (`mapping.read_columns`) into the product."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        personal: PersonalData,
        catalogue: Catalogue,
        clock: Clock,
        land: Land,
        page_prices: Callable[[], tuple[Decimal, Decimal]],
        customers: CustomerDesk,
        contracts: ContractDesk,
    ) -> None:
        self._uow_factory = uow_factory
        self._personal = personal
        self._catalogue = catalogue
        self._clock = clock
        self._land = land
        self._page_prices = page_prices
        self._customers = customers
        self._contracts = contracts

    def run(
        self,
        tenant: TenantId,
        kind: str,
        rows: Sequence[Mapping[str, str]],
        *,
        dry_run: bool,
        skip_bad_rows: bool = False,
    ) -> ImportReport:
        """Import the rows; raise `InvalidValue` for an unknown kind."""
        if kind not in FIELDS:
            raise InvalidValue(f"{kind!r} cannot be imported; there are: {', '.join(KINDS)}")
        report = ImportReport(kind=kind, dry_run=dry_run, rows=len(rows))
        good: list[tuple[int, dict[str, Any]]] = []
        for number, row in enumerate(rows, 2):
            values, wrong = converted(kind, row)
            if wrong:
                report.note(number, wrong)
            else:
                good.append((number, values))
        match kind:
            case "readings":
                self._readings(tenant, good, report, dry_run=dry_run, skip_bad_rows=skip_bad_rows)
            case "print_totals":
                self._print_totals(tenant, good, report)
            case _:
                self._records(tenant, good, report, dry_run=dry_run, skip_bad_rows=skip_bad_rows)
        return report

    def _records(
        self,
        tenant: TenantId,
        good: Sequence[tuple[int, dict[str, Any]]],
        report: ImportReport,
        *,
        dry_run: bool,
        skip_bad_rows: bool,
    ) -> None:
        put = {
            "customers": self._customer,
            "sites": self._site,
            "contracts": self._contract,
            "devices": self._device,
        }[report.kind]
        seen: set[str] = set()
        with self._uow_factory() as uow:
            for number, values in good:
                try:
                    key = _own_key(report.kind, values)
                    if key in seen:
                        raise InvalidValue(f"{key} stands in the file twice")
                    seen.add(key)
                    put(uow, tenant, values, report)
                except DrumbeatError as error:
                    report.note(number, [("", str(error))])
            if dry_run or (report.errors and not skip_bad_rows):
                return
            uow.trust.note(
                AuditNote(
                    tenant=tenant,
                    action="imported",
                    kind=report.kind,
                    object_id="file",
                    detail=f"{report.created} new, {report.updated} changed",
                )
            )
            uow.commit()
        report.written = True

    def _customer(
        self, uow: UnitOfWork, tenant: TenantId, values: dict[str, Any], report: ImportReport
    ) -> None:
        sealed = {name: values.pop(name) for name in SEALED if name in values}
        if "kind" in values:
            values["kind"] = CustomerKind(values["kind"])
        if "language" in values:
            values["language"] = {"zh-cn": "zh-CN"}.get(values["language"], values["language"])
        before = uow.customers.find(tenant, values["customer_id"])
        if before is None:
            after = self._customers.enter(uow, Customer(tenant=tenant, **values))
        else:
            after = replace(before, **values)
            if after != before:
                self._customers.amend(uow, before, after)
        _count(report, before, after)
        subject = Subject(SubjectKind.CUSTOMER, after.customer_id)
        for name, number in sealed.items():
            self._personal.put(uow, tenant, subject, name, number)

    def _site(self, uow: UnitOfWork, tenant: TenantId, values: dict[str, Any], report: ImportReport) -> None:
        _must_exist("customer", uow.customers.find(tenant, values["customer_id"]), values["customer_id"])
        before = uow.sites.find(tenant, values["site_id"])
        after = replace(before, **values) if before else Site(tenant=tenant, **values)
        _count(report, before, after)
        uow.sites.save(after)

    def _contract(
        self, uow: UnitOfWork, tenant: TenantId, values: dict[str, Any], report: ImportReport
    ) -> None:
        _must_exist("customer", uow.customers.find(tenant, values["customer_id"]), values["customer_id"])
        if values["ends_on"] < values["starts_on"]:
            raise InvalidValue("ends_on is before starts_on")
        outcome = put_contract(uow, tenant, values, self._contracts)
        setattr(report, outcome, getattr(report, outcome) + 1)

    def _device(
        self, uow: UnitOfWork, tenant: TenantId, values: dict[str, Any], report: ImportReport
    ) -> None:
        for name, find in (
            ("customer_id", uow.customers.find),
            ("site_id", uow.sites.find),
            ("contract_id", uow.contracts.find),
        ):
            if name in values:
                _must_exist(name.removesuffix("_id"), find(tenant, values[name]), values[name])
        host = values.pop("host", None)
        if host:
            values["snmp"] = SnmpAddress(host=host)
        values |= {
            name: kind(values[name])
            for name, kind in (("owner_state", OwnerState), ("transport", Transport))
            if name in values
        }
        before = uow.devices.find(tenant, values["device_id"])
        after = replace(before, **values) if before else self._new_device(tenant, values)
        other = uow.devices.find_by_serial(tenant, after.serial) if after.serial else None
        if other is not None and other.device_id != after.device_id and other.owner_state not in _GONE:
            raise InvalidValue(f"serial {after.serial} belongs to device {other.device_id}")
        _count(report, before, after)
        uow.devices.save(after)
        if before is None and after.site_id and after.customer_id and after.owner_state in _STANDING:
            uow.devices.save_period(
                InstalledPeriod(
                    tenant=tenant,
                    device_id=after.device_id,
                    site_id=after.site_id,
                    customer_id=after.customer_id,
                    contract_id=after.contract_id,
                    from_instant=self._clock.now(),
                )
            )

    def _new_device(self, tenant: TenantId, values: dict[str, Any]) -> Device:
        model = self._catalogue.match(values.get("vendor"), values.get("model_name"))
        return Device(
            tenant=tenant,
            model_id=None if model is None else model.model_id,
            registered_at=self._clock.now(),
            **values,
        )

    def _readings(
        self,
        tenant: TenantId,
        good: Sequence[tuple[int, dict[str, Any]]],
        report: ImportReport,
        *,
        dry_run: bool,
        skip_bad_rows: bool,
    ) -> None:
        made: list[DeviceReading] = []
        for number, values, device in self._matched(tenant, good, report):
            if values["at"] > self._clock.now():
                report.note(number, [("at", "lies in the future")])
                continue
            made.append(reading_of_row(device, values))
        report.created = len(made)
        if dry_run or (report.errors and not skip_bad_rows):
            return
        report.created = self._land(made)
        report.unchanged = len(made) - report.created
        report.written = True

    def _matched(
        self, tenant: TenantId, good: Sequence[tuple[int, dict[str, Any]]], report: ImportReport
    ) -> list[tuple[int, dict[str, Any], Device]]:
        """Return the rows of known devices; the others are named in the report."""
        found = []
        with self._uow_factory() as uow:
            devices = uow.devices.all(tenant)
        by_id = {str(each.device_id): each for each in devices}
        by_serial = {each.serial.upper(): each for each in devices if each.serial}
        for number, values in good:
            told = values.get("device_id") or values.get("serial")
            if not told:
                report.note(number, [("serial", "device_id or serial is needed")])
                continue
            device = by_id.get(told) or by_serial.get(str(values.get("serial", told)).upper())
            if device is None:
                report.unknown.append(str(values.get("serial") or told))
            else:
                report.matched.append(str(device.device_id))
                found.append((number, values, device))
        report.matched = sorted(set(report.matched))
        report.unknown = sorted(set(report.unknown))
        return found

    def _print_totals(
        self, tenant: TenantId, good: Sequence[tuple[int, dict[str, Any]]], report: ImportReport
    ) -> None:
        """Sum pages and their price by account; a report, nothing is stored."""
        mono_price, colour_price = self._page_prices()
        sums: dict[str, list[int]] = {}
        for _, values, _ in self._matched(tenant, good, report):
            colour = values.get("colour", 0)
            mono = values.get("mono", max(values.get("pages", 0) - colour, 0))
            entry = sums.setdefault(values["account"], [0, 0])
            entry[0] += mono
            entry[1] += colour
        for account, (mono, colour) in sorted(sums.items()):
            amount = Money(mono_price * mono + colour_price * colour).rounded()
            report.totals.append(
                {"account": account, "mono": mono, "colour": colour, "yuan": str(amount.amount)}
            )


_GONE: Final = frozenset({OwnerState.RETIRED, OwnerState.LOST})
_STANDING: Final = frozenset({OwnerState.INSTALLED, OwnerState.LOAN})


def _own_key(kind: str, values: Mapping[str, Any]) -> str:
    return str(values[f"{kind.removesuffix('s')}_id"])


def _must_exist(what: str, found: object, key: str) -> None:
    if found is None:
        raise InvalidValue(f"there is no {what} {key}; import it first")


def _count(report: ImportReport, before: object, after: object) -> None:
    if before is None:
        report.created += 1
    elif before == after:
        report.unchanged += 1
    else:
        report.updated += 1
