"""No plain identity number reaches a file: not the database, not its log, not a backup, not the logs of the product."""

import tarfile
from datetime import date
from decimal import Decimal

import pytest

from config.backup import make_backup, restore_backup
from config.cli.app import _run
from config.clock import SystemClock
from config.settings import load_settings
from config.wiring.core import open_core
from crm_core.domain.customer_files import Contact
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import Contract, Customer
from crm_core.domain.money import Money
from crm_core.domain.notices import Webhook
from crm_core.domain.service import Role
from crm_core.domain.trust import Subject, SubjectKind

NUMBER = "11010519491231002X"
HOOK_SECRET = "the-secret-of-a-webhook"
URL = "https://example.org/hook"
FORMS = [
    NUMBER.encode(),
    NUMBER.lower().encode(),
    NUMBER.encode("utf-16-le"),
    NUMBER[:-1].encode(),
    HOOK_SECRET.encode(),
]
ANNA = Subject(SubjectKind.CUSTOMER, "anna")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("DRUMBEAT_GENERAL_DATA_DIR", str(tmp_path / "data"))
    return load_settings()


@pytest.fixture
def core(settings):
    core = open_core(settings, SystemClock())
    with core.uow_factory() as uow:
        uow.customers.save(Customer(tenant=core.tenant, customer_id="anna", name="安娜"))
        uow.relations.contacts.add(
            Contact(tenant=core.tenant, contact_id=0, customer_id="anna", name="Bob", phone="021-777")
        )
        core.personal.put(uow, core.tenant, ANNA, "identity_number", NUMBER)
        uow.notices.save_webhook(
            Webhook(
                tenant=core.tenant, url=URL, secret=core.hook_secrets.sealed(core.tenant, URL, HOOK_SECRET),
                events=("*",), created_at=SystemClock().now(), created_by="test",
            )
        )  # fmt: skip
        uow.commit()
    return core


def plain_places(*files):
    """Return the files that hold the number in any form."""
    return [str(file) for file in files if any(form in file.read_bytes() for form in FORMS)]


def unpack(archive, folder):
    """Return the files of a backup; by hand, since Python before 3.11.4 has no filter for what it unpacks."""
    with tarfile.open(archive) as tar:
        for entry in tar:
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(tar.extractfile(entry).read())
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_file_holds_the_number(core, settings, tmp_path):
    folder = settings.general.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"crm.sqlite", "crm.sqlite-wal"} <= {path.name for path in files}
    assert plain_places(*files) == []
    made = make_backup(settings, tmp_path / "backup.tar.gz", SystemClock().now(), "test")
    unpacked = unpack(made.file, tmp_path / "unpacked")
    assert {"crm.sqlite", "personal.key"} <= {path.name for path in unpacked}
    assert plain_places(made.file, *unpacked) == []


def test_a_restored_backup_opens_the_number_again(core, settings, tmp_path):
    made = make_backup(settings, tmp_path / "backup.tar.gz", SystemClock().now(), "test")
    restore_backup(made.file, settings.general.folder, replace=True)
    again = open_core(settings, SystemClock())
    with again.uow_factory() as uow:
        assert again.personal.shown(uow, again.tenant, ANNA, Role.ADMIN)["identity_number"] == NUMBER


def test_keys_rotate_by_command_and_a_running_product_follows(core, settings, capsys):
    before = core.personal
    assert _run(["keys", "rotate", "--drop-old", "--json"]) == 0
    assert '"fields": 2, "dropped_keys": 1' in capsys.readouterr().out
    with core.uow_factory() as uow:
        assert before.shown(uow, core.tenant, ANNA, Role.ADMIN)["identity_number"] == NUMBER
        (hook,) = uow.notices.webhooks(None)
        assert core.hook_secrets.opened(hook) == HOOK_SECRET  # sealed anew
        before.put(uow, core.tenant, ANNA, "identity_number", NUMBER)
        uow.commit()
    assert _run(["keys", "list", "--json"]) == 0
    assert capsys.readouterr().out.count("key_id") == 1


def test_a_key_file_that_others_may_read_is_refused(core, settings):
    settings.personal_key_file.chmod(0o644)
    with pytest.raises(InvalidConfiguration, match="may be read by others"):
        open_core(settings, SystemClock())


def test_the_chain_is_verified_by_command(core, capsys):
    assert _run(["audit", "anchor"]) == 0
    assert _run(["audit", "verify", "--json"]) == 0
    assert '"whole": true' in capsys.readouterr().out
    assert _run(["audit", "list", "--kind", "personal_fields", "--json"]) == 0
    assert '"object_id": "customer/anna/identity_number"' in capsys.readouterr().out


def test_export_and_erasure_by_command(core, capsys, tmp_path):
    assert (
        _run(["personal", "export", "anna", "--reason", "asked", "--out", str(tmp_path / "anna.json")]) == 0
    )
    assert "021-777" in (tmp_path / "anna.json").read_text(encoding="utf-8")
    assert NUMBER in (tmp_path / "anna.json").read_text(encoding="utf-8")
    assert (tmp_path / "anna.json").stat().st_mode & 0o077 == 0
    assert _run(["personal", "erase", "anna", "--reason", "asked", "--yes", "--json"]) == 0
    with core.uow_factory() as uow:
        assert core.personal.shown(uow, core.tenant, ANNA) == {}
        assert uow.customers.get(core.tenant, "anna").name == "(erased)"
        (contact,) = uow.relations.contacts.where(core.tenant, customer_id="anna")
        assert (contact.name, contact.phone, contact.active) == ("(erased)", None, False)
    assert _run(["audit", "verify"]) == 0


def test_retention_forgets_whose_contract_ended_long_ago(core, capsys):
    with core.uow_factory() as uow:
        uow.contracts.save(
            Contract(
                tenant=core.tenant, contract_id="k-1", customer_id="anna", starts_on=date(2015, 1, 1),
                ends_on=date(2016, 1, 1), monthly_rent=Money(Decimal(100)),
            )
        )  # fmt: skip
        uow.commit()
    assert _run(["personal", "retention", "--json"]) == 0
    assert '{"customers": ["anna"]}' in capsys.readouterr().out
    assert _run(["personal", "retention", "--apply", "--json"]) == 0
    assert '"customers": ["anna"], "fields": 1' in capsys.readouterr().out
