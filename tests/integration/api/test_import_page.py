"""Lists through the page: tried first, columns chosen, wrong rows named, then imported without choosing the file again."""

import re

import pytest

HTML = {"Accept": "text/html"}
KIND = "drumbeat:customers"


@pytest.fixture
def page(browser):
    person = browser("manager")

    def send(body=b"", name="customers.csv", **fields):
        text = person.get("/import", headers=HTML).text
        csrf = re.search(r'name="csrf" value="([^"]+)"', text)[1]
        files = {"file": (name, body)}
        return person.post("/import", data={"csrf": csrf, "kind": KIND, **fields}, files=files, headers=HTML)

    return send


def _customer(world, key):
    with world.services.read_uow_factory() as uow:
        return uow.customers.find("default", key)


def test_a_file_is_tried_and_then_imported_without_choosing_it_again(page, world):
    tried = page("客户编号,客户名称,联系人\nnew-1,新客户,王芳\n".encode("gbk"), act="try")
    assert tried.status_code == 200
    assert _customer(world, "new-1") is None
    kept = re.search(r'name="kept" value="([^"]+)"', tried.text)[1]
    done = page(kept=kept, act="write")
    assert done.status_code == 200
    assert _customer(world, "new-1").review_due_on is not None


def test_columns_with_other_names_are_chosen(page, world):
    body = b"Nr,Firm,Who\nnew-2,Second,Li\n"
    first = page(body, act="try")
    assert first.status_code == 422
    assert 'name="column.customer_id"' in first.text
    columns = {"column.customer_id": "Nr", "column.name": "Firm", "column.contact_name": "Who"}
    assert page(body, act="write", **columns).status_code == 200
    assert _customer(world, "new-2").contact_name == "Li"


def test_wrong_rows_are_named_and_nothing_is_written(page, world):
    answer = page(b"customer_id,name,contact_name\nok-1,One,A\nbad id,Two,B\n", act="write")
    assert 'class="mono">customer_id' in answer.text
    assert _customer(world, "ok-1") is None


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (b"", {}, 422),
        (b"PK\x03\x04trap", {}, 422),
        (b"a,b\n1,2\n", {"kind": "sap:customers"}, 404),
        (b"", {"kept": "%%%"}, 400),
        (b"customer_id,name\n", {"column.nonsense": "name"}, 422),
    ],
)
def test_what_cannot_be_read_is_refused(page, body, fields, status):
    assert page(body, act="write", **fields).status_code == status


def test_only_managers_with_the_token_of_their_session(browser, page):
    assert browser("dispatcher").get("/import", headers=HTML).status_code == 403
    assert page(b"a,b\n", csrf="wrong").status_code == 403


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_the_page_leaves_no_key_unspoken(browser, language):
    person = browser("manager")
    person.cookies.set("drumbeat_lang", language)
    assert not re.findall(r"\b(?:pages|money)\.[a-z_]+\.[a-z_-]+", person.get("/import", headers=HTML).text)
