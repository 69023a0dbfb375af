"""The team over HTTP and on its page: an absence plans the day again, each moved promise has its reason; regular care."""

from dataclasses import replace
from datetime import timedelta

from crm_core.domain.identity import DeviceId, TechnicianId
from crm_core.ports import WorkOrderFilter

EAST = "li"


def token_of(visitor, path):
    return visitor.get(path).text.split('name="csrf" value="')[1].split('"')[0]


def promised(world):
    """Let the day be planned, and return the visits that Li was promised for."""
    world.services.planner.plan("default")
    with world.services.read_uow_factory() as uow:
        orders = uow.work_orders.list("default", WorkOrderFilter(limit=100))
    return {
        order.work_order_id: order for order in orders if order.technician_id == EAST and order.planned_start
    }


def a_second_technician(world):
    with world.services.uow_factory() as uow:
        li = uow.technicians.get("default", TechnicianId(EAST))
        uow.technicians.save(replace(li, technician_id=TechnicianId("sun"), name="孙丽"))
        uow.commit()


def week(world):
    now = world.services.clock.now()
    return {"starts": now.isoformat(), "ends": (now + timedelta(days=7)).isoformat()}


def test_a_sick_call_moves_the_visits_of_the_ill_and_says_why(world, client):
    a_second_technician(world)
    before, boss = promised(world), client("dispatcher")
    assert before
    answer = boss.post(f"/api/v1/technicians/{EAST}/absences", json={**week(world), "kind": "ill"})
    assert answer.status_code == 201, answer.text
    plan = answer.json()["plan"]
    assert {change["work_order_id"] for change in plan["changes"]} == set(before)
    assert {change["technician_id"] for change in plan["changes"]} == {"sun"}
    assert all("is away" in change["reason"] for change in plan["changes"])
    zh = boss.post("/api/v1/plan", headers={"Accept-Language": "zh-CN"})
    assert zh.json()["changes"] == []  # planned again: nothing moves twice
    absence = answer.json()["absence"]["absence_id"]
    (li,) = (row for row in boss.get("/api/v1/technicians").json()["items"] if row["technician_id"] == EAST)
    assert [each["absence_id"] for each in li["absences"]] == [absence]
    assert boss.post(f"/api/v1/absences/{absence}/take-back").json()["absence"]["taken_back"] is True
    (li,) = (row for row in boss.get("/api/v1/technicians").json()["items"] if row["technician_id"] == EAST)
    assert li["absences"] == []


def test_absences_are_refused_where_they_make_no_sense(world, client):
    boss, where = client("dispatcher"), f"/api/v1/technicians/{EAST}/absences"
    now = world.services.clock.now()
    backwards = {"starts": (now + timedelta(days=2)).isoformat(), "ends": now.isoformat()}
    assert boss.post(where, json=backwards).status_code == 422
    assert (
        boss.post(where, json={"starts": "2026-05-01T00:00:00", "ends": "2026-05-02T00:00:00"}).status_code
        == 422
    )
    forever = {"starts": now.isoformat(), "ends": (now + timedelta(days=4000)).isoformat()}
    assert boss.post(where, json=forever).status_code == 422
    assert client("dispatcher-west").post(where, json=week(world)).status_code == 404
    assert client("manager").post(where, json=week(world)).status_code == 403


def test_the_team_page_reports_an_absence_and_shows_what_moved(world, browser):
    a_second_technician(world)
    before, boss = promised(world), browser("dispatcher")
    page = boss.get("/team").text
    assert "李强" in page
    day = world.services.clock.now().date().isoformat()
    fields = {"csrf": token_of(boss, "/team"), "kind": "ill", "first": day, "last": day, "note": "flu"}
    shown = boss.post(f"/team/{EAST}/absences", data=fields)
    assert shown.status_code == 200, shown.text
    assert all(f'href="/work-orders/{number}"' in shown.text for number in before)
    assert "flu" in shown.text
    assert boss.post(f"/team/{EAST}/absences", data={**fields, "first": "soon"}).status_code == 422
    assert "/team/plan" not in browser("manager").get("/team").text  # looks, and changes nothing


def test_regular_care_is_begun_paused_and_seen(world, browser):
    boss = browser("dispatcher")
    page, csrf = boss.get("/regular-care").text, token_of(boss, "/regular-care")
    assert 'href="/devices/c3525-01"' in page
    made = boss.post("/regular-care", data={"csrf": csrf, "device": "c3525-02", "pages": "", "days": "60"})
    assert made.status_code == 303, made.text
    with world.services.read_uow_factory() as uow:
        (plan,) = uow.fieldwork.plans.where("default", device_id=DeviceId("c3525-02"))
    assert (plan.every_pages, plan.every_days) == (None, 60)
    assert boss.post("/regular-care", data={"csrf": csrf, "device": "c3525-02"}).status_code == 409
    for wrong in ("no-such", "rival-01"):
        answer = boss.post("/regular-care", data={"csrf": csrf, "device": wrong})
        assert (answer.status_code, "there is no device" in answer.text) == (422, True)
    switched = boss.post(f"/regular-care/{plan.plan_id}/switch", data={"csrf": csrf, "active": "no"})
    assert switched.status_code == 303
    with world.services.read_uow_factory() as uow:
        assert not uow.fieldwork.plans.get("default", plan.plan_id).active
    west = browser("dispatcher-west")
    assert (
        west.post(
            f"/regular-care/{plan.plan_id}/switch", data={"csrf": token_of(west, "/regular-care")}
        ).status_code
        == 404
    )


def test_a_work_order_of_regular_care_says_why(world, browser):
    world.clock.advance(timedelta(days=60))  # 105 of 90 days
    assert world.services.fieldwork.plans.run("default").due >= 1
    with world.services.read_uow_factory() as uow:
        (plan,) = uow.fieldwork.plans.where("default", device_id=DeviceId("c3525-01"))
    assert (
        "Regular care is due every 90 days"
        in browser("dispatcher").get(f"/work-orders/{plan.work_order_id}").text
    )


def test_technicians_ask_for_days_off_and_a_dispatcher_grants_them(world, client):
    me, boss, where = client("tech-li"), client("dispatcher"), f"/api/v1/technicians/{EAST}"
    promised(world)
    asked = me.post(f"{where}/absences", json={**week(world), "kind": "leave"}).json()
    assert (asked["absence"]["granted"], asked["plan"]["changes"]) == (False, [])
    key = asked["absence"]["absence_id"]
    assert [each["absence_id"] for each in me.get(where).json()["absences"]] == [key]
    assert me.post(f"/api/v1/absences/{key}/decision", json={"granted": True}).status_code == 403
    granted = boss.post(f"/api/v1/absences/{key}/decision", json={"granted": True}).json()
    assert granted["absence"]["granted"] is True
    assert granted["plan"]["changes"], "the plan follows"
    assert boss.post(f"/api/v1/absences/{key}/decision", json={"granted": False}).status_code == 409
    assert me.post(f"/api/v1/absences/{key}/take-back").json()["absence"]["taken_back"] is True


def test_technicians_change_nobody_else(world, client):
    a_second_technician(world)
    me = client("tech-li")
    assert me.get("/api/v1/technicians/sun").status_code == 404
    assert me.post("/api/v1/technicians/sun/absences", json=week(world)).status_code == 404
    hours = {"starts_minutes": 600, "ends_minutes": 900}
    assert me.post("/api/v1/technicians/sun/hours", json=hours).status_code == 404
    own = me.post(f"/api/v1/technicians/{EAST}/hours", json=hours).json()["technician"]
    assert (own["shift_starts_minutes"], own["shift_ends_minutes"]) == (600, 900)
    backwards = {"starts_minutes": 900, "ends_minutes": 600}
    assert me.post(f"/api/v1/technicians/{EAST}/hours", json=backwards).status_code == 422


def test_the_own_page_of_hours_asks_and_the_team_page_decides(world, browser):
    me, boss = browser("tech-li"), browser("dispatcher")
    day = (world.services.clock.now() + timedelta(days=9)).date().isoformat()
    fields = {"csrf": token_of(me, "/hours"), "kind": "leave", "first": day, "last": day, "note": "wedding"}
    shown = me.post("/hours/absences", data=fields)
    assert "waits for a dispatcher" in shown.text
    assert "wedding" in boss.get("/team").text
    number = shown.text.split("/hours/absences/")[-1].split("/")[0]
    decided = {"csrf": token_of(boss, "/team"), "granted": "yes"}
    assert boss.post(f"/team/absences/{number}/decision", data=decided).status_code == 200
    assert "waits for a dispatcher" not in me.get("/hours").text
    kept = me.post("/hours", data={"csrf": fields["csrf"], "starts": "08:30", "ends": ""})
    assert 'value="08:30"' in kept.text
    assert me.post("/hours", data={"csrf": fields["csrf"], "starts": "25:00"}).status_code == 422
    assert boss.get("/hours").status_code == 403


def test_a_visit_is_ordered_and_called_off(world, client, browser):
    boss, page = client("dispatcher"), browser("dispatcher")
    wanted = {"device_id": "c3525-01", "kind": "installation", "note": "second floor"}
    made = boss.post("/api/v1/work-orders", json=wanted)
    assert made.status_code == 201, made.text
    assert len(made.json()["guide"]) == 5
    assert boss.post("/api/v1/work-orders", json=wanted).status_code == 409
    assert client("dispatcher-west").post("/api/v1/work-orders", json=wanted).status_code == 404
    where = f"/work-orders/{made.json()['work_order_id']}"
    assert "second floor" in page.get(where).text
    version = made.json()["version"]
    blank = {"csrf": token_of(page, "/team"), "version": version, "reason": " "}
    assert page.post(f"{where}/cancel", data=blank).status_code == 422
    reason = {"reason": "the customer moves"}
    off = boss.post(f"/api/v1{where}/cancel", json=reason, headers={"If-Match": "*"})
    assert off.json()["state"] == "cancelled"
    form = {"csrf": blank["csrf"], "device": "c3525-01", "kind": "removal", "start": "2031-05-06T10:30"}
    ordered = page.post("/work-orders/new", data=form, follow_redirects=True)
    assert "Day agreed with the customer" in ordered.text
    refused = page.post("/work-orders/new", data={**form, "start": "soon"})
    assert (refused.status_code, 'value="soon"' in refused.text) == (422, True)
