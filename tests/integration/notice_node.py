"""One of several processes that deliver notices: `python -m tests.integration.notice_node URL NAME`, until it is killed."""

import base64
import sys
import time
from dataclasses import replace
from datetime import timedelta

from config.clock import SystemClock
from config.locale_files import load_messages
from crm_core.domain.notices import Channel
from crm_core.notices.delivery import Deliverer
from crm_core.notices.hook_secrets import HookSecrets
from crm_core.notify.webhooks import WebhookSender
from crm_core.storage.sqlalchemy_uow import make_uow_factory
from crm_core.storage.trust.lock import AesPersonalLock
from tests.policies import a_policy

#: One key for all processes of a test.
HOOK_SECRETS = HookSecrets(AesPersonalLock([base64.b64encode(bytes(32)).decode()]))


def main(url: str, name: str) -> None:
    factory, clock, policy = make_uow_factory(url), SystemClock(), a_policy()
    short = replace(policy, notices=replace(policy.notices, claim=timedelta(seconds=5)))
    senders = {Channel.WEBHOOK: WebhookSender(factory, clock, HOOK_SECRETS, private_allowed=True)}
    deliverer = Deliverer(factory, clock, short, load_messages(), senders, holder=name, time_zone="UTC")
    while True:
        deliverer.run()
        time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
