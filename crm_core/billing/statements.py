"""Meters that people read off: taken when plausible, asked again when not, and decided by a specialist who doubts.

For devices that no network reads. The month end rests on accepted statements instead of an estimate (`billing.counts`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.billing.counts import Counts
from crm_core.billing.plausible import Expected, Known, doubts_of, expected_count
from crm_core.domain.billing import MeterPoint, Quality
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.meter_statements import Doubt, MeterStatement, StatementSource, StatementState
from crm_core.domain.notices import Notice, ReceiverKind
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Task
from crm_core.domain.service import Role
from crm_core.fieldwork.files import keep_photo
from crm_core.notices.addressing import Addressing
from crm_core.ports import AttachmentStore, Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.care import drop_tasks
from crm_core.relations.periods import local_day, morning

MOST_PAGES: Final = 10**10  # no meter shows more digits
TASK: Final = "meter_statement"
_CLOCKS_DIFFER: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What somebody says; `confirmed`: they looked again after they were asked. `photo` holds the image's bytes."""

    device_id: DeviceId
    total: int
    read_at: datetime
    colour: int | None = None
    photo: bytes | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of it: kept, or (None) asked again for `doubts`; `expected` is what would have been no surprise."""

    statement: MeterStatement | None
    doubts: tuple[Doubt, ...] = ()
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLook:
    """What is known of a device's meter now. Only an off-line device is asked for statements."""

    offline: bool
    last: MeterPoint | None
    statements: Sequence[MeterStatement]


class StatementDesk:
    """Takes and decides statements. Unknown ids raise `NotFound`, what cannot be `InvalidValue`, the rest `Conflict`.

    `addressing` says how the sender of a refused statement is reached; without one it stands on the sender's own pages.
    """

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        store: TelemetryStore,
        clock: Clock,
        policy: PolicyBook,
        files: AttachmentStore,
        addressing: Addressing | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._store = store
        self._clock = clock
        self._policy = policy
        self._files = files
        self._addressing = addressing or Addressing(policy)

    def look(self, uow: UnitOfWork, device: Device) -> MeterLook:
        """Return where the meter of a device stands, and what was stated of it, newest first."""
        now = self._clock.now()
        rows = uow.billing.statements.where(device.tenant, device_id=device.device_id)
        counts = self._counts(rows)
        last, _ = counts.around(device.tenant, device.device_id, now)
        return MeterLook(offline=self._offline(counts, device, now), last=last, statements=rows)

    def state(
        self, tenant: TenantId, stated: Stated, *, source: StatementSource, by: str, may_decide: bool = False
    ) -> Heard:
        """Take a statement: accepted when plausible; else asked again, and with `confirmed` left to a specialist.

        `may_decide`: it is a specialist who states it, so nobody else need look. A repeat gives what is there.
        """
        now = self._clock.now()
        self._check(stated, now)
        with self._uow_factory() as uow:
            device = uow.devices.get(tenant, stated.device_id)
            rows = uow.billing.statements.where(tenant, device_id=stated.device_id)
            made = self._statement(device, stated, source, by, now)
            same = next((row for row in rows if _key(row) == _key(made)), None)
            if same is not None:
                return Heard(statement=same, doubts=same.doubts)
            counts = self._counts(rows)
            if not self._offline(counts, device, stated.read_at):
                raise Conflict(f"device {stated.device_id} tells its counter itself")
            known = self._known(counts, made, _installed(uow, made))
            made = _in_parts(made, known.before)
            billing = self._policy.billing
            doubts = doubts_of(made.point, known, billing.meters, billing.statements)
            expected = expected_count(known, stated.read_at, billing.statements)
            if doubts and not stated.confirmed:
                return Heard(statement=None, doubts=doubts, expected=expected)
            kept = self._keep(uow, replace(made, doubts=doubts), stated.photo, may_decide=may_decide)
            uow.commit()
        return Heard(statement=kept, doubts=doubts, expected=expected)

    def decide(
        self,
        tenant: TenantId,
        statement_id: int,
        *,
        accept: bool,
        by: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> MeterStatement:
        """Accept or refuse a statement; what invoices rest on already is trued up with the next one."""
        with self._uow_factory() as uow:
            known = uow.billing.statements.get(tenant, statement_id)
            if expected_version is not None and known.version != expected_version:
                raise Conflict("somebody changed the statement meanwhile; look at it again")
            if not accept and not note.strip():
                raise InvalidValue("say why the statement is refused: the customer reads it")
            state = StatementState.ACCEPTED if accept else StatementState.REFUSED
            now = self._clock.now()
            saved = uow.billing.statements.save(
                replace(known, state=state, decided_by=by, decided_at=now, note=note.strip()[:500])
            )
            drop_tasks(uow, tenant, TASK, _subject(saved), now, state.value)
            if not accept and by != saved.stated_by:
                uow.notices.add([self._refusal(uow, saved, now)])
            uow.commit()
        return saved

    def _refusal(self, uow: UnitOfWork, refused: MeterStatement, now: datetime) -> Notice:
        """Return the message that tells the sender which count was refused, and why."""
        return self._addressing.notice(
            uow,
            refused.tenant,
            *_sender(uow, refused),
            unique_key=f"{_subject(refused)}:refused:{refused.version}",
            topic="meter.refused",
            subject=_subject(refused),
            text_key="notices.meter_refused",
            arguments={
                "device": refused.device_id,
                "count": refused.total,
                "day": local_day(refused.read_at, self._policy.sla.calendar.time_zone).isoformat(),
                "reason": refused.note,
            },
            now=now,
        )

    def photo(self, statement: MeterStatement) -> bytes:
        """Return the bytes of a statement's photo, checked against their hash; `NotFound` when it has none."""
        if statement.photo_sha256 is None:
            raise NotFound(f"statement {statement.statement_id} has no photo")
        return self._files.load(statement.photo_sha256)

    def _check(self, stated: Stated, now: datetime) -> None:
        if not 0 <= stated.total < MOST_PAGES:
            raise InvalidValue("a meter shows 0 to 9,999,999,999 pages")
        if stated.colour is not None and not 0 <= stated.colour <= stated.total:
            raise InvalidValue("the colour pages are part of the total")
        oldest = self._policy.billing.statements.oldest
        if not now - oldest <= stated.read_at <= now + _CLOCKS_DIFFER:
            raise InvalidValue(f"a meter is stated after it was read off, at most {oldest.days} days later")

    def _statement(
        self, device: Device, stated: Stated, source: StatementSource, by: str, now: datetime
    ) -> MeterStatement:
        if device.customer_id is None:
            raise Conflict(f"device {device.device_id} stands with no customer")
        return MeterStatement(
            tenant=device.tenant,
            device_id=device.device_id,
            customer_id=device.customer_id,
            read_at=min(stated.read_at, now),
            total=stated.total,
            mono=None if stated.colour is None else stated.total - stated.colour,
            colour=stated.colour,
            source=source,
            stated_by=by,
            stated_at=now,
        )

    def _keep(
        self, uow: UnitOfWork, made: MeterStatement, photo: bytes | None, *, may_decide: bool
    ) -> MeterStatement:
        if photo is not None:
            kept_photo = keep_photo(self._files, photo, self._policy.fieldwork.photo_bytes_most)
            made = replace(made, photo_sha256=kept_photo.sha256, photo_type=kept_photo.media_type)
        if not made.doubts:
            return uow.billing.statements.add(made)
        if may_decide:
            decided = replace(made, decided_by=made.stated_by, decided_at=made.stated_at)
            return uow.billing.statements.add(decided)
        kept = uow.billing.statements.add(replace(made, state=StatementState.WAITING))
        uow.relations.tasks.add_once(self._task(kept))
        return kept

    def _task(self, made: MeterStatement) -> Task:
        zone = self._policy.sla.calendar.time_zone
        tomorrow = local_day(made.stated_at, zone) + timedelta(days=1)
        return Task(
            tenant=made.tenant,
            task_id=0,
            kind=TASK,
            subject=_subject(made),
            period=str(made.statement_id),
            customer_id=made.customer_id,
            due_at=morning(tomorrow, zone),
            created_at=made.stated_at,
            role=Role.SPECIALIST.value,
            detail={"device": made.device_id, "total": str(made.total)},
        )

    def _counts(self, rows: Sequence[MeterStatement]) -> Counts:
        accepted = [row for row in rows if row.state is StatementState.ACCEPTED]
        return Counts(self._store, self._policy.billing.meters, accepted)

    def _offline(self, counts: Counts, device: Device, at: datetime) -> bool:
        before, _ = counts.read_around(device.tenant, device.device_id, at)
        return before is None or at - before.at > self._policy.billing.meters.silent_after

    def _known(self, counts: Counts, made: MeterStatement, start: MeterPoint | None) -> Known:
        before, after = counts.around(made.tenant, made.device_id, made.read_at)
        if before is None or (start is not None and before.at < start.at):
            before = start
        rate = None if before is None else counts.pages_a_day(made.tenant, made.device_id, before.at, start)
        return Known(before=before, after=after, pages_a_day=None if rate is None else sum(rate))


def _installed(uow: UnitOfWork, made: MeterStatement) -> MeterPoint | None:
    """Return the count noted when the device came to where it stands, the latest before the statement."""
    noted = [(row.from_instant, row.start_count) for row in uow.devices.periods(made.tenant, made.device_id)]
    for agreement in uow.agreements.contracts.of_device(made.tenant, made.device_id):
        noted += [
            (row.from_at, row.start_count) for row in agreement.stays if row.device_id == made.device_id
        ]
    counts = [(at, count) for at, count in noted if count is not None and at <= made.read_at]
    if not counts:
        return None
    at, count = max(counts)
    return MeterPoint(at=at, total=count, quality=Quality.STATED)


def _in_parts(made: MeterStatement, before: MeterPoint | None) -> MeterStatement:
    """Tell mono from colour where the device has never printed in colour; nobody need state a zero."""
    if made.colour is None and before is not None and before.colour == 0:
        return replace(made, mono=made.total, colour=0)
    return made


def _key(row: MeterStatement) -> tuple[datetime, int]:
    return row.read_at, row.total


def _sender(uow: UnitOfWork, row: MeterStatement) -> tuple[ReceiverKind, str]:
    """Return whom to answer: the customer, or the technician or colleague who wrote the count down."""
    user = uow.users.find_by_name(row.tenant, row.stated_by)
    if row.source is StatementSource.CUSTOMER or user is None:
        return ReceiverKind.CUSTOMER, row.customer_id
    if user.technician_id is not None:
        return ReceiverKind.TECHNICIAN, user.technician_id
    return ReceiverKind.USER, user.user_id


def _subject(row: MeterStatement) -> str:
    return f"statement:{row.statement_id}"
