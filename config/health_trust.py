"""What `doctor` looks at in trust: keys of personal data, the end of the audit chain and its anchors, retention, policy."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from config.audit_anchors import FILE, read_anchors
from config.health_findings import Finding, Verdict
from config.wiring.core import Core, open_lock
from crm_core.domain.errors import DrumbeatError

ANCHOR_AGE: Final = timedelta(days=2)


def examine_trust(core: Core, now: datetime) -> Iterator[Finding]:
    """Yield a finding for each part of trust."""
    yield _keys(core)
    yield _chain(core, now)
    over = core.subjects.over_retention(core.tenant, core.policy.trust.retention)
    if over:
        yield Finding(
            "retention",
            Verdict.WARNING,
            f"personal data of {len(over)} customers is over its time",
            "drumbeat personal retention --apply; a running service does it every night",
        )
    else:
        yield Finding("retention", Verdict.OK, "no personal data is over its time")
    yield Finding("policy", Verdict.OK, f"version {core.policy.version} is in force")


def _keys(core: Core) -> Finding:
    try:
        known = open_lock(core.settings).key_ids
    except DrumbeatError as error:
        return Finding("keys", Verdict.FAILED, str(error), "restore the key file from a backup")
    with core.uow_factory() as uow:
        used = uow.trust.personal_by_key()
    missing = {key_id: fields for key_id, fields in used.items() if key_id not in known}
    if missing:
        fields = sum(missing.values())
        return Finding(
            "keys",
            Verdict.FAILED,
            f"the keys of {fields} personal fields are missing ({', '.join(missing)})",
            "put the old keys back: personal.key of a backup, or crm.personal_keys",
        )
    old = sum(fields for key_id, fields in used.items() if key_id != known[0])
    if old:
        return Finding(
            "keys",
            Verdict.WARNING,
            f"{old} personal fields are sealed with an old key",
            "drumbeat keys rotate",
        )
    return Finding("keys", Verdict.OK, f"{sum(used.values())} personal fields are sealed with the newest key")


def _chain(core: Core, now: datetime) -> Finding:
    """Look at the end of the chain only; `drumbeat audit verify` walks through all of it."""
    with core.uow_factory() as uow:
        head = uow.trust.head(core.tenant)
    try:
        anchors = [
            each for each in read_anchors(core.settings.general.folder / FILE) if each.tenant == core.tenant
        ]
    except DrumbeatError as error:
        return Finding("audit", Verdict.FAILED, str(error), "restore it from a backup")
    number = 0 if head is None else head.number
    anchored = max(anchors, key=lambda each: each.number, default=None)
    if anchored is not None and anchored.number > number:
        return Finding(
            "audit",
            Verdict.FAILED,
            f"{anchored.number} events were anchored, {number} are there",
            "drumbeat audit verify",
        )
    if number and (anchored is None or (anchored.number < number and now - anchored.at > ANCHOR_AGE)):
        return Finding(
            "audit",
            Verdict.WARNING,
            "the end of the audit chain is not anchored",
            "drumbeat audit anchor; a running service does it every hour",
        )
    return Finding("audit", Verdict.OK, f"{number} changes in the audit chain, the end is anchored")
