"""Imports and exports over HTTP: a dry run unless told, row errors, large bodies only here, nothing half done."""

from crm_core.exchange.sheets import read_sheet

PATH = "/api/v1/exchange/imports/drumbeat/customers"
FILE = "客户编号,客户名称,联系人\nnew-1,新客户,王芳\n".encode("gbk")


def test_a_file_is_tried_first_and_then_taken_in(client, world):
    manager = client("manager")
    dry = manager.post(PATH, content=FILE)
    assert (dry.status_code, dry.json()["created"], dry.json()["written"]) == (200, 1, False)
    done = manager.post(f"{PATH}?dry_run=false", content=FILE).json()
    assert (done["created"], done["written"]) == (1, True)
    with world.services.read_uow_factory() as uow:
        assert uow.customers.get("default", "new-1").name == "新客户"
    events = client("admin").get("/api/v1/audit/events?kind=customers&object_id=new-1").json()["items"]
    assert (events[0]["action"], events[0]["actor"]) == ("insert", "user:manager")


def test_wrong_rows_are_named(client):
    body = b"customer_id,name,contact_name\nok-1,One,A\nbad id,Two,B\n"
    answer = client("manager").post(f"{PATH}?dry_run=false", content=body).json()
    assert answer["written"] is False
    assert [(row["row"], row["field"]) for row in answer["errors"]] == [(3, "customer_id")]
    assert client("manager").post(PATH, content=b"PK\x03\x04trap").status_code == 422


def test_a_large_file_may_come_in_here_and_nowhere_else(client):
    rows = b"customer_id,name,contact_name\n" + b"".join(b"n%d,Name,Contact\n" % n for n in range(4000))
    assert client("manager").post(PATH, content=rows).json()["created"] == 4000
    assert client("manager").post("/api/v1/personal/search", content=rows).status_code == 413


def test_lists_go_out_in_the_names_of_a_system(client):
    answer = client("manager").get("/api/v1/exchange/exports/salesforce/Asset")
    assert "External_Id__c" in read_sheet(answer.content).columns
    assert "attachment" in answer.headers["Content-Disposition"]
    assert client("manager").get("/api/v1/exchange/exports/sap/Asset").status_code == 404
    assert client("dispatcher").get("/api/v1/exchange/exports/salesforce/Asset").status_code == 403
    known = client("manager").get("/api/v1/exchange/mappings").json()
    assert {"hp_jetadvantage", "apeosware", "papercut"} <= {each["system"] for each in known}
