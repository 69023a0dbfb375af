"""Secrets survive a shell, a URL and a log."""

import re

from config.logging import HIDDEN, redact
from crm_core.domain.opaque import new_secret


def test_no_secret_reads_like_an_option_and_none_repeats():
    secrets = {new_secret(24) for _ in range(1000)}
    assert len(secrets) == 1000
    assert all(re.fullmatch(r"dbt_[A-Za-z0-9_-]{32}", secret) for secret in secrets)


def test_logs_hide_a_secret_in_the_middle_of_a_text():
    told = redact(None, "info", {"event": f"GET /go/{new_secret()}?from=qr failed", "steps": [new_secret()]})
    assert told == {"event": f"GET /go/{HIDDEN}?from=qr failed", "steps": [HIDDEN]}
