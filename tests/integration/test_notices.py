"""Notices on their real way: a mail server and a listening program in a process of their own, a database on disk."""

import email
import email.policy
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from config.locale_files import load_messages
from crm_core.domain.errors import InvalidConfiguration, InvalidValue
from crm_core.domain.identity import TicketId
from crm_core.domain.notices import Channel, NoticeState, Receiver, ReceiverKind, Webhook
from crm_core.fieldwork.costs import cost_so_far
from crm_core.notices.addressing import Addressing
from crm_core.notices.announcing import Announcer, publish
from crm_core.notices.delivery import Deliverer, send_again
from crm_core.notify.messages import AppriseSender
from crm_core.notify.webhooks import WebhookSender, checked_url, signature
from crm_core.servicedesk import ServiceDesk
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from crm_core.ticket_states import Move
from tests.builders import T0, TENANT, ManualClock, a_small_fleet
from tests.integration.notice_node import HOOK_SECRETS
from tests.policies import L1, a_policy

SECRET = "a secret of this test only"


@dataclass
class Outside:
    """The receivers' process and what came in."""

    smtp: int
    http: int
    log: Path

    def entries(self, kind: str) -> list[dict]:
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Iterator[Outside]:
    log = tmp_path_factory.mktemp("outside") / "log"
    command = [sys.executable, "-m", "tests.integration.notice_receivers", str(log)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    smtp, http = map(int, process.stdout.readline().split())
    yield Outside(smtp, http, log)
    process.stdin.close()
    process.wait()
    process.stdout.close()


class Firm:
    """A small firm whose changes are announced."""

    def __init__(self, folder: Path, outside: Outside) -> None:
        outside.log.write_text("", encoding="utf-8")
        self.url = f"sqlite:///{folder}/crm.db"
        migrate(self.url)
        self.clock, self.policy, self.outside = ManualClock(), a_policy(), outside
        self.uow_factory = make_uow_factory(self.url, clock=self.clock)
        a_small_fleet(self.uow_factory)
        addressing = Addressing(self.policy, {Channel.MAIL, Channel.WEBHOOK})
        self.uow_factory.on_commit(Announcer(addressing, self.clock, cost_so_far))
        self.desk = ServiceDesk(self.uow_factory, self.clock, self.policy)
        mail = AppriseSender(
            Channel.MAIL, f"mailto://127.0.0.1:{outside.smtp}/?to={{to}}&from=desk@example.org"
        )
        hooks = WebhookSender(self.uow_factory, self.clock, HOOK_SECRETS, private_allowed=True)
        self.deliverer = Deliverer(
            self.uow_factory,
            self.clock,
            self.policy,
            load_messages(),
            {Channel.MAIL: mail, Channel.WEBHOOK: hooks},
            holder="here",
            time_zone="Asia/Shanghai",
        )

    def reached_by(self, *addresses, **wishes) -> None:
        receiver = Receiver(
            tenant=TENANT, kind=ReceiverKind.CUSTOMER, receiver_id="c1", addresses=addresses, **wishes
        )
        with self.uow_factory() as uow:
            uow.notices.save_receiver(receiver)
            uow.commit()

    def listens(self, path: str, *events: str) -> Webhook:
        url = f"http://127.0.0.1:{self.outside.http}{path}"
        hook = Webhook(
            tenant=TENANT, url=url, secret=HOOK_SECRETS.sealed(TENANT, url, SECRET),
            events=events or ("*",), created_at=T0, created_by="test",
        )  # fmt: skip
        with self.uow_factory() as uow:
            saved = uow.notices.save_webhook(hook)
            uow.commit()
        return saved

    def report(self):
        return self.desk.report(TENANT, "d1", level=L1, category="noise", text="it squeaks", actor="customer")

    def notices(self, **which):
        with self.uow_factory() as uow:
            return list(reversed(uow.notices.list(TENANT, **which)))


@pytest.fixture
def firm(tmp_path, outside) -> Iterator[Firm]:
    made = Firm(tmp_path, outside)
    yield made
    made.uow_factory.close()


def test_each_change_is_one_mail_with_state_promise_and_cost(firm):
    firm.reached_by(
        (Channel.WECHAT, "nobody sends this"), (Channel.MAIL, "wang@example.org"), language="zh-CN"
    )
    firm.report()
    firm.desk.acknowledge(TENANT, TicketId(1), actor="dora")
    assert firm.deliverer.run().sent == 2
    assert firm.deliverer.run().sent == 0
    first, second = firm.outside.entries("mail")
    assert first["to"] == ["wang@example.org"]
    texts = [_decoded(mail["text"]) for mail in (first, second)]
    assert "T-000001：新建" in texts[0]
    assert "it squeaks" in texts[0]
    assert "承诺时间：2026-03-02 18:00" in texts[0]
    assert "目前费用：0.00 CNY" in texts[0]
    assert "已受理" in texts[1]
    states = [notice.state for notice in firm.notices(channel=Channel.MAIL)]
    assert states == [NoticeState.SENT] * 2


def _decoded(raw: str) -> str:
    message = email.message_from_string(raw, policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    assert body is not None
    return f"{message['subject']}\n{body.get_content()}"


def test_what_is_rolled_back_is_never_told(firm):
    firm.reached_by((Channel.MAIL, "wang@example.org"))
    firm.report()
    with firm.uow_factory() as uow:
        ticket = uow.tickets.get(TENANT, TicketId(1))
        uow.tickets.save(replace(ticket, state="cancelled"))
    assert len(firm.notices(subject="ticket:1")) == 1


def test_nights_are_quiet(firm):
    firm.reached_by((Channel.MAIL, "wang@example.org"), quiet_from=21 * 60, quiet_to=8 * 60)
    firm.clock.advance(hours=13)  # 22:00
    firm.report()
    assert firm.deliverer.run().sent == 0
    firm.clock.advance(hours=10)  # 08:00
    assert firm.deliverer.run().sent == 1


def test_who_has_no_address_reads_it_on_the_own_pages(firm):
    firm.reached_by()
    firm.report()
    (notice,) = firm.notices()
    assert (notice.channel, notice.state) == (Channel.PORTAL, NoticeState.RECORDED)
    assert firm.deliverer.run().sent == 0


def test_what_solves_itself_is_told_only_to_who_was_told_before(firm):
    firm.reached_by(muted=("ticket",))
    assert firm.notices() == []


def test_an_address_that_is_refused_is_tried_again_and_then_dead(firm):
    firm.reached_by((Channel.MAIL, "refused@example.org"))
    firm.report()
    waits = []
    for _ in range(3):
        assert firm.deliverer.run().again == 1
        (notice,) = firm.notices()
        waits.append((notice.due_at - firm.clock.now()).total_seconds())
        firm.clock.move_to(notice.due_at)
    assert waits == [60, 120, 240]
    assert firm.deliverer.run().dead == 1
    (notice,) = firm.notices(states=(NoticeState.DEAD,))
    assert (notice.attempts, bool(notice.last_error)) == (4, True)
    firm.clock.advance(days=3)
    assert firm.deliverer.run().dead == 0
    send_again(firm.uow_factory, TENANT, notice.notice_id, firm.clock.now())
    assert firm.deliverer.run().again == 1


def test_calls_are_signed_in_order_and_repeated_until_taken(firm):
    firm.reached_by()
    firm.listens("/flaky-2", "ticket.*")
    firm.report()
    firm.desk.acknowledge(TENANT, TicketId(1), actor="dora")
    firm.desk.move(TENANT, TicketId(1), Move.CANCEL, actor="dora", note="a mistake")
    for _ in range(3):
        firm.deliverer.run()
        firm.clock.advance(minutes=10)
    calls = firm.outside.entries("call")
    assert [call["status"] for call in calls] == [503, 503, 204, 204, 204]
    bodies = [json.loads(call["body"]) for call in calls]
    events = ["ticket.new"] * 3 + ["ticket.triaged", "ticket.cancelled"]
    assert [body["event"] for body in bodies] == events
    assert len({body["id"] for body in bodies[:3]}) == 1  # the same event each time
    assert bodies[-1]["data"]["state"] == "cancelled"
    assert "it squeaks" not in calls[0]["body"]  # no words of people leave
    for call in calls:
        stamp = int(call["headers"]["Drumbeat-Timestamp"])
        expected = signature(SECRET, stamp, call["body"].encode())
        assert call["headers"]["Drumbeat-Signature"] == f"v1={expected}"
    assert signature("another", 1, b"x") != signature(SECRET, 1, b"x") != signature(SECRET, 2, b"x")


def test_a_program_that_is_gone_or_moved_holds_nobody_back(firm):
    firm.reached_by()
    firm.listens("/gone", "*")
    firm.listens("/moved", "*")
    firm.listens("/ok", "ticket.new", "supply.swapped")
    firm.report()
    with firm.uow_factory() as uow:
        publish(uow, TENANT, "supply.swapped", subject="device:d1", change="1", body={"slot": "1.1"}, now=T0)
        uow.commit()
    report = firm.deliverer.run()
    assert (report.sent, report.dead, report.again) == (2, 2, 2)
    assert [each["path"] for each in firm.outside.entries("call")].count("/ok") == 2


@pytest.mark.parametrize(
    ("url", "private_allowed"),
    [
        ("https://127.0.0.1/x", False),
        ("https://10.1.2.3/x", False),
        ("https://[::1]/x", False),
        ("https://[::ffff:192.168.0.1]/", False),
        ("https://169.254.169.254/latest/meta-data", True),
        ("https://0.0.0.0/", True),
        ("https://224.0.0.1/", True),
        ("http://example.org/", False),
        ("ftp://example.org/", True),
        ("https://user:pw@example.org/", True),
        ("https://example.org:99999/", True),
        ("https://", True),
    ],
)
def test_addresses_that_are_never_called(url, private_allowed):
    with pytest.raises(InvalidValue):
        checked_url(url, private_allowed=private_allowed)


def test_a_name_that_leads_into_the_private_network_is_refused_when_it_is_called(firm):
    firm.reached_by()
    hook = firm.listens("/ok", "*")
    with firm.uow_factory() as uow:
        url = f"https://localhost:{firm.outside.http}/ok"
        uow.notices.save_webhook(replace(hook, url=url, secret=HOOK_SECRETS.sealed(TENANT, url, SECRET)))
        uow.commit()
    firm.report()
    strict = WebhookSender(firm.uow_factory, firm.clock, HOOK_SECRETS, private_allowed=False)
    (notice,) = firm.notices(channel=Channel.WEBHOOK)
    with pytest.raises(InvalidValue, match="private network"):
        strict.send(notice, "", "")
    assert firm.outside.entries("call") == []


@pytest.mark.parametrize("service", ["mailto://example.org/?to=fixed@example.org", "nothing://{to}"])
def test_an_address_of_a_channel_that_cannot_work_stops_the_start(service):
    with pytest.raises(InvalidConfiguration):
        AppriseSender(Channel.MAIL, service)


@pytest.mark.heavy
def test_two_nodes_and_kill_nine_leave_one_effect_for_each_notice(tmp_path, outside):
    """Two processes deliver 120 events to a slow program; one is killed in the middle of it."""
    firm = Firm(tmp_path, outside)
    firm.listens("/slow", "*")
    for number in range(120):
        with firm.uow_factory() as uow:
            publish(
                uow,
                TENANT,
                "supply.swapped",
                subject=f"device:{number % 40}",
                change=str(number),
                body={},
                now=T0,
            )
            uow.commit()
    firm.uow_factory.close()
    nodes = [_node(firm.url, name) for name in ("a", "b")]
    _wait(lambda: len(outside.entries("call")) >= 10)
    nodes[0].kill()
    _wait(lambda: _waiting(firm) == 0, seconds=90)
    for node in nodes:
        node.kill()
        node.wait()
    ids = [json.loads(call["body"])["id"] for call in outside.entries("call")]
    assert len(set(ids)) == 120
    assert len(ids) <= 121  # at most the one call that the killed process had begun
    by_device: dict[str, list[int]] = {}
    for each in dict.fromkeys(ids):
        device, _, change = each.removeprefix("device:").partition(":")
        by_device.setdefault(device, []).append(int(change))
    assert all(changes == sorted(changes) for changes in by_device.values())
    firm.uow_factory.close()


def _node(url: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "tests.integration.notice_node", url, name], text=True)


def _waiting(firm: Firm) -> int:
    with firm.uow_factory() as uow:
        return uow.notices.depth(TENANT).waiting


def _wait(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_secret_that_was_moved_to_another_address_signs_nothing(firm):
    firm.reached_by()
    hook = firm.listens("/ok", "*")
    with firm.uow_factory() as uow:
        uow.notices.save_webhook(replace(hook, url=hook.url.replace("/ok", "/other")))
        uow.commit()
    firm.report()
    firm.deliverer.run()
    (notice,) = firm.notices(channel=Channel.WEBHOOK)
    assert notice.state is NoticeState.DEAD
    assert firm.outside.entries("call") == []
