"""Imports and exports on a real store: dry run, row errors, all or nothing, and every mapping there and back."""

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from config.clock import VirtualClock
from config.exchange_files import load_mappings
from config.policy_files import load_policies
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.domain.errors import InvalidConfiguration, InvalidValue, NotFound
from crm_core.domain.service import Role, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.domain.trust import Subject, SubjectKind
from crm_core.exchange.desk import ExchangeDesk
from crm_core.exchange.importing import Importer
from crm_core.exchange.lists import COLUMNS, LISTS
from crm_core.exchange.mapping import ours_again
from crm_core.exchange.sheets import read_sheet, write_csv
from crm_core.ports import Landing
from crm_core.relations.customers import CustomerDesk
from crm_core.storage.memory import make_memory_uow_factory
from crm_core.storage.trust.lock import AesPersonalLock, new_key
from crm_core.trust.personal import PersonalData
from tests.builders import TENANT, a_contract, a_small_fleet

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
BOOK = load_policies()[0].book


@pytest.fixture
def firm():
    """Return desk, factory, store and personal data of a small firm."""
    clock = VirtualClock(NOW)
    factory, store = make_memory_uow_factory(), MemoryTelemetryStore(clock)
    personal = PersonalData(AesPersonalLock([new_key()]), BOOK, clock)
    a_small_fleet(factory)
    with factory() as uow:
        uow.contracts.save(a_contract())
        device = uow.devices.all(TENANT)[0]
        uow.work_orders.add(
            WorkOrder(
                tenant=TENANT, work_order_id=0, kind=WorkOrderKind.SUPPLY, state=WorkOrderState.EN_ROUTE,
                device_id=device.device_id, site_id=device.site_id, customer_id=device.customer_id, ticket_ids=(),
                technician_id=None, assigned_reason="", created_at=NOW, due_at=NOW,
            )
        )  # fmt: skip
        uow.commit()
    importer = Importer(
        factory,
        personal,
        load_catalogue(),
        clock,
        lambda readings: store.append([Landing(reading=each) for each in readings]).stored,
        lambda: (Decimal("0.1"), Decimal("0.5")),
        CustomerDesk(factory, clock, BOOK),
        ContractDesk(factory, clock, BOOK),
    )
    desk = ExchangeDesk(importer, load_mappings(), factory)
    return SimpleNamespace(desk=desk, factory=factory, store=store, personal=personal)


def take(firm, kind, body, system="drumbeat", **changes):
    told = {"dry_run": False, **changes}
    return firm.desk.take_in(TENANT, system, kind, body if isinstance(body, bytes) else body.encode(), **told)


CUSTOMERS = (
    "客户编号,客户名称,类型,联系人,身份证号\nanna,安娜,个人,,11010519491231002X\nacme,Acme,公司,王芳,\n"
)


def test_customers_come_in_with_their_number_under_lock(firm):
    dry = take(firm, "customers", CUSTOMERS, dry_run=True)
    assert (dry.created, dry.written, dry.errors) == (2, False, [])
    with firm.factory() as uow:
        assert uow.customers.find(TENANT, "anna") is None
    done = take(firm, "customers", CUSTOMERS.encode("gbk"))
    assert (done.created, done.written) == (2, True)
    with firm.factory() as uow:
        assert uow.customers.get(TENANT, "anna").kind.value == "person"
        subject = Subject(SubjectKind.CUSTOMER, "anna")
        shown = firm.personal.shown(uow, TENANT, subject, Role.ADMIN)
        assert shown == {"identity_number": "11010519491231002X"}
    again = take(firm, "customers", CUSTOMERS)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


def test_one_wrong_row_keeps_the_whole_file_out(firm):
    body = "customer_id,name,kind,contact_name\nx1,One,company,A\nx 2,Two,company,B\nx3,,company,C\nx4,Four,firm,D\nx1,Twice,company,E\nx5,Five,company,\n"
    report = take(firm, "customers", body)
    assert not report.written
    assert [(each.row, each.field) for each in report.errors] == [
        (3, "customer_id"), (4, "name"), (5, "kind"), (6, ""), (7, ""),
    ]  # fmt: skip
    with firm.factory() as uow:
        assert uow.customers.find(TENANT, "x1") is None
    assert take(firm, "customers", body, skip_bad_rows=True).written
    with firm.factory() as uow:
        assert uow.customers.find(TENANT, "x1").name == "One"


def test_devices_and_contracts_need_what_they_name(firm):
    report = take(
        firm,
        "devices",
        "device_id,serial,customer_id,site_id\nn1,NEW1,c1,s1\nn2,NEW2,nobody,s1\n",
        dry_run=True,
    )
    assert [each.reason for each in report.errors] == ["there is no customer nobody; import it first"]
    with firm.factory() as uow:
        taken = uow.devices.all(TENANT)[0]
    if taken.serial:
        clash = take(firm, "devices", f"device_id,serial\nn3,{taken.serial}\n", dry_run=True)
        assert "belongs to device" in clash.errors[0].reason
    good = take(
        firm,
        "devices",
        "device_id,serial,customer_id,site_id,IP,installed_on\nn1,NEW1,c1,s1,10.0.0.9,2026年11月1日\n",
    )
    assert good.written
    with firm.factory() as uow:
        assert uow.devices.get(TENANT, "n1").snmp.host == "10.0.0.9"
        assert uow.devices.open_period(TENANT, "n1").site_id == "s1"
    backwards = take(
        firm,
        "contracts",
        "contract_id,customer_id,starts_on,ends_on,monthly_rent\nk9,c1,2026-02-01,2026-01-01,600\n",
    )
    assert "ends_on is before" in backwards.errors[0].reason


RUNNING = "contract_id,customer_id,starts_on,ends_on,monthly_rent,lines,device_value,document\n"


def test_an_imported_customer_is_registered_like_an_entered_one(firm):
    take(firm, "customers", CUSTOMERS)
    with firm.factory() as uow:
        acme = uow.customers.get(TENANT, "acme")
    assert (acme.registered_on, acme.review_due_on) == (date(2026, 11, 22), date(2027, 11, 22))


def test_the_registration_number_of_a_company_is_sealed(firm):
    take(firm, "customers", "客户编号,客户名称,联系人,统一社会信用代码\nacme,Acme,王芳,91310000MA1K4X\n")
    with firm.factory() as uow:
        assert "91310000MA1K4X" not in repr(uow.customers.get(TENANT, "acme"))
        shown = firm.personal.shown(uow, TENANT, Subject(SubjectKind.CUSTOMER, "acme"), Role.ADMIN)
    assert shown == {"registration_number": "91310000MA1K4X"}


def test_an_imported_contract_runs_with_terms_and_lines(firm):
    body = RUNNING + "k9,c1,2026-01-01,2027-12-31,1000.01,3,54000,scan-9.pdf\n"
    assert take(firm, "contracts", body, dry_run=True).created == 1
    assert take(firm, "contracts", body).written
    with firm.factory() as uow:
        agreement = uow.agreements.contracts.of_contract(TENANT, "k9")
        assert uow.contracts.get(TENANT, "k9").monthly_rent.amount == Decimal("1000.01")
        assert not uow.billing.invoices.where(TENANT)  # its deposit was asked for where it was signed
    assert agreement.state.value == "active"
    assert [str(line.monthly_rent) for line in agreement.current.lines] == ["333.34", "333.34", "333.33"]
    assert {line.device_value for line in agreement.current.lines} == {Decimal("18000.00")}
    assert agreement.consents[0].document == "scan-9.pdf"
    again = take(firm, "contracts", body)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 1)
    dearer = take(firm, "contracts", body.replace("1000.01", "1200"))
    assert "needs the customer's consent" in dearer.errors[0].reason
    assert not dearer.written
    out = firm.desk.give_out(TENANT, "drumbeat", "contracts", "csv")
    back = take(firm, "contracts", out.body)
    assert [row.reason for row in back.errors] == []
    assert back.created == 0


def test_a_contract_names_a_plan_that_is_there(firm):
    body = "contract_id,customer_id,starts_on,ends_on,monthly_rent,plan\nk9,c1,2026-01-01,2027-12-31,600,gold:1\n"
    assert "no plan gold:1" in take(firm, "contracts", body).errors[0].reason


def test_money_and_stock_go_out_and_defuse_formulas(firm):
    take(firm, "contracts", RUNNING + "k9,c1,2026-01-01,2027-12-31,600,1,18000,=cmd()\n")
    for name in ("invoices", "invoice_lines", "payments", "stock"):
        sheet = read_sheet(firm.desk.give_out(TENANT, "drumbeat", name, "xlsx").body)
        assert sheet.columns == COLUMNS[name]


def with_serial(firm, serial="CNB1234567"):
    take(firm, "devices", f"device_id,serial,customer_id,site_id\nhp-1,{serial},c1,s1\n")


def test_requirement_117_hp_list_shows_matched_and_unknown_devices(firm):
    with_serial(firm)
    body = (
        "Serial Number,Last Communication,Total Engine Cycles,Black Cartridge Level\n"
        "cnb1234567,2026-11-21 17:00,41234,37 %\nXXX999,2026-11-21 17:00,5,90\n"
    )
    dry = take(firm, "readings", body, system="hp_jetadvantage", dry_run=True)
    assert (dry.matched, dry.unknown, dry.created, dry.written) == (["hp-1"], ["XXX999"], 1, False)
    assert firm.store.newest(TENANT, "hp-1") is None
    assert take(firm, "readings", body, system="hp_jetadvantage").created == 1
    newest = firm.store.newest(TENANT, "hp-1")
    assert newest.counters.life_count == 41234
    assert (newest.supplies[0].level, newest.source) == (37, "manual")
    assert take(firm, "readings", body, system="hp_jetadvantage").unchanged == 1  # twice is once


def test_requirement_117_the_billing_meter_stands_apart_from_the_usage_counter(firm):
    with_serial(firm, "AV7-001")
    body = "序列号,获取时间,使用计数器,计费表读数,碳粉K\nAV7-001,2026/11/21 09:30,120500,118220,64\n".encode(
        "gb18030"
    )
    assert take(firm, "readings", body, system="apeosware").written
    counters = firm.store.newest(TENANT, "hp-1").counters
    assert (counters.life_count, counters.vendor_count("total_printed")) == (120500, 118220)


def test_papercut_totals_are_a_report_by_department(firm):
    with_serial(firm)
    body = "Department,Serial Number,Total Printed Pages,Total Color Pages\nSales,CNB1234567,1100,100\nSales,CNB1234567,50,0\nHR,NONE,9,9\n"
    report = take(firm, "print_totals", body, system="papercut")
    assert report.totals == [{"account": "Sales", "mono": 1050, "colour": 100, "yuan": "155.00"}]
    assert (report.unknown, report.written) == (["NONE"], False)


def test_a_reading_of_the_future_and_a_row_without_a_device_are_wrong(firm):
    with_serial(firm)
    report = take(firm, "readings", "serial,at,total\nCNB1234567,2027-01-01,1\n,2026-01-01,1\n")
    assert [each.field for each in report.errors] == ["serial", "at"] or [
        each.field for each in report.errors
    ] == ["at", "serial"]
    assert not report.written


def test_columns_may_be_named_by_hand(firm):
    body = "Nr,Wer\nz1,Zoe\n"
    told = {"customer_id": "Nr", "name": "Wer", "contact_name": "Wer"}
    assert take(firm, "customers", body, columns=told).created == 1
    with pytest.raises(InvalidValue, match="no column 'Nix'"):
        take(firm, "customers", body, columns={"customer_id": "Nix"})
    with pytest.raises(InvalidValue, match="no field zzz"):
        take(firm, "customers", body, columns={"zzz": "Nr"})
    with pytest.raises(InvalidValue, match="no column is known"):
        take(firm, "customers", body)
    with pytest.raises(NotFound, match="no mapping"):
        take(firm, "customers", body, system="sap")


@pytest.mark.parametrize(("system", "name"), sorted(load_mappings().exports))
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_every_export_comes_back_as_it_was(firm, system, name, form):
    mapping = load_mappings().exports[system, name]
    made = firm.desk.give_out(TENANT, system, name, form)
    sheet = read_sheet(made.body)
    assert list(sheet.columns) == [column.name for column in mapping.columns]
    with firm.factory() as uow:
        ours = LISTS[mapping.list_name](uow, TENANT)
    plain = [read_sheet(write_csv(list(row), [list(row.values())])).as_dicts()[0] for row in ours]
    back = ours_again(mapping, sheet)
    assert len(back) == len(plain) == made.rows
    assert all(
        {key: value.replace("+00:00", "Z") for key, value in row.items()}
        == {key: theirs[key].replace("+00:00", "Z") for key in row}
        for row, theirs in zip(back, plain, strict=True)
    )


@pytest.mark.parametrize("system", ["salesforce", "zoho", "fxiaoke"])
def test_assets_of_other_systems_come_in_unchanged(firm, system):
    objects = {
        "salesforce": ("Account", "Asset"),
        "zoho": ("Accounts", "Assets"),
        "fxiaoke": ("客户", "设备"),
    }[system]
    for kind, name in zip(("customers", "devices"), objects, strict=True):
        made = firm.desk.give_out(TENANT, system, name, "csv")
        report = take(firm, kind, made.body, system=system, dry_run=True)
        assert (report.errors, report.created) == ([], 0)
        assert report.unchanged + report.updated == made.rows


def test_a_mapping_with_unknown_fields_is_refused(tmp_path):
    (tmp_path / "bad.yaml").write_text("system: bad\nimports: {customers: {columns: {nmae: [Name]}}}\n")
    with pytest.raises(InvalidConfiguration, match="nmae"):
        load_mappings(tmp_path)
    (tmp_path / "bad.yaml").write_text("system: bad\nexports: {X: {list: devices, columns: {Y: nothing}}}\n")
    with pytest.raises(InvalidConfiguration, match="devices has no nothing"):
        load_mappings(tmp_path)
