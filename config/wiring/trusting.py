"""The recurring work of trust: anchors of the audit chain, what is kept no longer, policy that comes into force."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from config.audit_anchors import write_anchor
from config.supervision import Supervisor
from config.wiring.core import Core, open_lock
from crm_core.domain.trust import AuditNote

_log = structlog.get_logger("drumbeat.trust")
ANCHOR_SECONDS: Final = 3600.0
POLICY_SECONDS: Final = 60.0


def schedule_trust(
    core: Core, supervisor: Supervisor, job: Callable[[Callable[[], object]], Callable[[], object]]
) -> None:
    """Register the jobs; `job` lets only the leader do them."""
    lock = open_lock(core.settings)
    supervisor.every("audit-anchor", ANCHOR_SECONDS, job(partial(write_anchor, core, lock)), first_after=60.0)
    supervisor.daily("personal-retention", core.settings.schedule.retention_at, job(partial(_forget, core)))
    supervisor.every("policy-in-force", POLICY_SECONDS, job(partial(note_policy_in_force, core)))


def watch_policy(core: Core, supervisor: Supervisor) -> None:
    """Let this process, leader or not, see new versions of the policy."""
    supervisor.every("policy", POLICY_SECONDS, partial(_reread, core), first_after=POLICY_SECONDS)


def note_policy_in_force(core: Core) -> bool:
    """Keep in the audit chain which version is in force, with the hash of all its figures; True when it is new."""
    version = core.policy.version
    told = "\n".join(f"{each.key}={each.value!r}" for each in core.shelf.figures())
    detail = f"since {core.policy.effective_from}, figures sha256 {hashlib.sha256(told.encode()).hexdigest()}"
    with core.uow_factory() as uow:
        known = [
            event
            for event in uow.trust.newest_events(core.tenant, kind="policy", limit=50)
            if event.action == "policy.in_force"
        ]
        if known and (known[0].object_id, known[0].changed) == (version, detail):
            return False
        uow.trust.note(
            AuditNote(
                tenant=core.tenant,
                action="policy.in_force",
                kind="policy",
                object_id=version,
                detail=detail,
            )
        )
        uow.commit()
    _log.info("policy in force", version=version)
    return True


def _reread(core: Core) -> None:
    if core.shelf.refresh():
        _log.info("policy read again", versions=[each.version for each in core.shelf.versions()])


def _forget(core: Core) -> None:
    forgotten = core.subjects.apply_retention(core.tenant, core.policy.trust.retention)
    if forgotten.customers or forgotten.rows:
        _log.info("forgotten by retention", customers=len(forgotten.customers), rows=forgotten.rows)
