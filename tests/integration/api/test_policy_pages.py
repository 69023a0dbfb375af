"""Policy over HTTP: figures and versions, a change from a date, a replay that runs beside the requests, and its page."""

import re
import threading
from datetime import date
from zoneinfo import ZoneInfo

from api.pages.formats import Formats
from api.pages.policy_view import answer_of, note_of
from api.pages.supply_view import Words
from crm_core.domain.forecast import Interval
from crm_core.domain.policy_replay import (
    REPLAY_FIGURES,
    ReplayedFigure,
    ReplayReport,
    ReplayRequest,
    ReplayState,
)

SHARE = "forecasts.life.replacement_share"
CHANGE = {"version": "later", "effective_from": "2099-01-01", "figures": {SHARE: 0.85}, "note": "owner"}


def done(client, replay_id):
    """Return the answer of a replay when it is there."""
    for _ in range(600):
        body = client("manager").get(f"/api/v1/policy/replays/{replay_id}").json()
        if body["done"]:
            return body
        threading.Event().wait(0.05)
    raise AssertionError("the replay did not end")


def test_a_figure_says_what_it_is(client):
    body = client("dispatcher").get(f"/api/v1/policy/figures/{SHARE}").json()
    assert (body["value"], body["requirement"], body["version"]) == (0.8, 39, "1")
    assert client("dispatcher").get("/api/v1/policy/figures/no.such").status_code == 404


def test_a_change_is_checked_then_made_and_kept_in_the_chain(client):
    manager = client("manager")
    dry = manager.post("/api/v1/policy/versions?dry_run=true", json=CHANGE)
    assert dry.json()["changes"] == [{"key": SHARE, "before": 0.8, "after": 0.85}]
    assert len(manager.get("/api/v1/policy/versions").json()["items"]) == 1
    assert manager.post("/api/v1/policy/versions", json=CHANGE).status_code == 201
    assert manager.post("/api/v1/policy/versions", json=CHANGE).status_code == 409
    impossible = {**CHANGE, "version": "x", "effective_from": "2099-06-01", "figures": {SHARE: 99}}
    assert manager.post("/api/v1/policy/versions?dry_run=true", json=impossible).status_code == 422
    then = manager.get(f"/api/v1/policy/figures/{SHARE}?on=2099-06-01").json()
    assert (then["value"], then["version"]) == (0.85, "later")
    events = client("admin").get("/api/v1/audit/events?kind=policy").json()["items"]
    assert events[0]["actor"] == "user:manager"
    assert f"{SHARE}: 0.8 -> 0.85" in events[0]["changed"]


def test_a_replay_of_too_little_history_says_so(client):
    asked = client("manager").post("/api/v1/policy/replays", json={"figures": {SHARE: 0.85}})
    assert asked.status_code == 202
    body = done(client, asked.json()["replay_id"])
    assert "at least 28 days" in body["error"]
    assert body["figures"] == []


def test_the_page_shows_figures_and_takes_a_question(browser):
    manager = browser("manager")
    page = manager.get("/policy?q=replacement_share")
    assert SHARE in page.text
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    answer = manager.post("/policy/replay", data={"csrf": csrf, SHARE: "0.85"})
    assert answer.status_code == 303
    wrong = manager.post("/policy/replay", data={"csrf": csrf, SHARE: "much"})
    assert wrong.status_code in (409, 422)
    assert browser("dispatcher").get("/policy").status_code == 403


def test_figures_have_names_in_both_languages_and_are_found_by_them(browser, client):
    manager = browser("manager")
    for language, name, question in (
        ("en", "Life › Share of design life at which to replace", "design life replace"),
        ("zh-CN", "寿命 › 更换比例（设计寿命）", "更换比例"),
    ):
        manager.cookies.set("drumbeat_lang", language)
        assert name in manager.get("/policy", params={"q": question}).text
    assert "没有符合的数字" in manager.get("/policy?q=nosuchfigure").text
    assert f'name="{SHARE}"' in manager.get("/policy").text
    other = "forecasts.failures.visit_cost"
    assert f'name="{other}"' in manager.get(f"/policy?other={other}").text
    client("manager").post("/api/v1/policy/versions", json=CHANGE)
    page = manager.get("/policy").text
    assert "<strong>later</strong>" in page
    assert "manager" in page.split("<strong>later</strong>")[1][:200]


def test_every_word_of_every_figure_is_in_the_catalogue(world):
    words = {part for each in world.services.policies.figures() for part in each.key.split(".")}
    for language in ("en", "zh-CN"):
        texts = world.services.messages
        assert not [
            word for word in words if texts.text(language, f"figures.word.{word}") == f"figures.word.{word}"
        ]


def test_every_note_of_the_shipped_policy_is_told_in_the_readers_language(world):
    notes = {each.note for each in world.services.policies.figures()} - {""}
    assert len(notes) > 100
    formats = Formats("zh-CN", ZoneInfo("Asia/Shanghai"), world.clock.now())
    chinese = Words(messages=world.services.messages, language="zh-CN", formats=formats)
    assert not [note for note in notes if not re.search("[\u4e00-\u9fff]", note_of(chinese, note))]
    assert note_of(chinese, "as our own meeting decided") == "as our own meeting decided"


def test_what_changes_beyond_chance_is_said_in_sentences(world):
    def row(name, low, mid, high):
        return ReplayedFigure(
            name=name, unit="tickets", present=Interval(90.0, 100.0, 110.0), changed=Interval(80.0, 90.0, 99.0),
            difference=Interval(low, mid, high), recorded=None,
        )  # fmt: skip

    report = ReplayReport(
        first_day=date(2025, 1, 1), last_day=date(2025, 12, 31), devices=3, supplies=9, unknown_supplies=0, replicates=30,
        seed=0, policy_version="1", changes={SHARE: (0.8, 0.85)},
        figures=(row("tickets", -12.0, -8.0, -3.0), row("visits", -2.0, 1.0, 4.0), row("waste", 5.0, 20.0, 30.0)),
    )  # fmt: skip
    request = ReplayRequest(figures={SHARE: 0.85})
    state = ReplayState(replay_id="1", request=request, progress=1.0, report=report)
    formats = Formats("en", ZoneInfo("Asia/Shanghai"), world.clock.now())
    words = Words(messages=world.services.messages, language="en", formats=formats)
    assert answer_of(words, state) == [
        "Toner thrown away, cartridges: probably 20 more (+20%), between 5 and 30",
        "Tickets: probably 8 fewer (−8%), between 3 and 12",
    ]


def test_personal_fields_are_masked_by_role_and_found_by_the_exact_number(client):
    place = "/api/v1/customers/cust-1/personal"
    put = client("specialist").put(f"{place}/identity_number", json={"value": "11010519491231002X"})
    assert put.status_code == 204
    assert client("specialist").get(place).json()["fields"] == {"identity_number": "**************002X"}
    assert client("manager").get(place).json()["fields"] == {"identity_number": "11010519491231002X"}
    assert client("tech-li").get(place).status_code == 403
    reason = {"reason": "check of the contract"}
    assert client("specialist").post(f"{place}/identity_number/reveal", json=reason).status_code == 403
    shown = client("manager").post(f"{place}/identity_number/reveal", json=reason)
    assert shown.json()["value"] == "11010519491231002X"
    found = client("manager").post(
        "/api/v1/personal/search", json={"field": "identity_number", "value": "110105 19491231 002x"}
    )
    assert found.json() == {"customer_ids": ["cust-1"]}
    events = client("admin").get("/api/v1/audit/events?kind=customer").json()["items"]
    assert events[0]["changed"] == "identity_number: check of the contract"
    assert client("admin").get("/api/v1/audit/verification").json()["whole"] is True


def test_erasure_waits_for_the_end_of_the_contract(client):
    refused = client("manager").post("/api/v1/customers/cust-1/erasure", json={"reason": "asked for it"})
    assert refused.status_code == 409
    export = client("manager").post("/api/v1/customers/cust-1/personal-export", json={"reason": "asked"})
    assert export.json()["body"]["customer"]["customer_id"] == "cust-1"


def finished():
    """Return a replay that is done."""
    figures = tuple(
        ReplayedFigure(
            name=name, unit=unit, present=Interval(90, 100, 110), changed=Interval(80, 90, 100),
            difference=Interval(-12, -10, -8), recorded=103.0 if name == "tickets" else None,
        )
        for name, unit in REPLAY_FIGURES.items()
    )  # fmt: skip
    report = ReplayReport(
        first_day=date(2025, 1, 1), last_day=date(2025, 12, 31), devices=7, supplies=20, unknown_supplies=1,
        replicates=30, seed=0, policy_version="1", changes={SHARE: (0.8, 0.85)}, figures=figures,
    )  # fmt: skip
    request = ReplayRequest(figures={SHARE: 0.85})
    return ReplayState(replay_id="r-" + "1" * 16, request=request, progress=1.0, report=report)


def test_the_answer_is_a_table_with_a_picture_and_a_switch(browser, world, monkeypatch):
    monkeypatch.setattr(world.services.replays, "newest", lambda tenant: finished(), raising=False)
    manager = browser("manager")
    page = manager.get("/policy").text
    assert "Difference of each figure" in page
    assert "Tickets, level 2" in page
    assert "103" in page
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    past = manager.post("/policy/apply", data={"csrf": csrf, "from": "2001-01-01", "name": "x"})
    assert past.status_code == 422
    done = manager.post("/policy/apply", data={"csrf": csrf, "from": "2099-02-01", "name": "replace-later"})
    assert done.status_code == 303
    assert [each.version for each in world.services.policies.versions()] == ["1", "replace-later"]
    assert "replace-later" in manager.get("/policy").text
