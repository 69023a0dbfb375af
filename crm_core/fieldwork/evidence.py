"""Evidence of a visit: checks, parts, time and files while it lasts, and what must be there before it may close."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fieldwork import (
    Attachment,
    AttachmentKind,
    Check,
    CheckMark,
    PartUsed,
    VisitRecord,
)
from crm_core.domain.identity import TenantId, WorkOrderId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Ticket, WorkOrder, WorkOrderKind, WorkOrderState
from crm_core.fieldwork.files import KeptPhoto, checked_image, keep_photo
from crm_core.ports import AttachmentStore, Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory

#: What a visit of a kind must show before it closes with success (requirements 20, 21, 110).
REQUIRED: Final[Mapping[WorkOrderKind, tuple[Check, ...]]] = {
    WorkOrderKind.INSTALLATION: (
        Check.NETWORK,
        Check.DRIVER,
        Check.TEST_PRINT,
        Check.TRAINING_VIDEO,
        Check.TRAINING_SHOWN,
        Check.HAND_OVER,
    ),
    WorkOrderKind.REMOVAL: (Check.DATA_ERASED, Check.HANDED_BACK),
    WorkOrderKind.MAINTENANCE: (Check.CLEANED, Check.TESTED),
}
_MOST: Final = 100
#: Notes that replace what stood there.
_PLAIN: Final = ("parts", "labour_minutes", "cause", "item", "trained", "signed_by")
_LONGEST_MINUTES: Final = 24 * 60
_CODE_LENGTH: Final = 80
_OVER: Final = frozenset({WorkOrderState.DONE, WorkOrderState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitNotes:
    """What a technician notes; None leaves a field as it is. `checks` are points to tick."""

    checks: tuple[Check, ...] = ()
    parts: tuple[PartUsed, ...] | None = None
    labour_minutes: int | None = None
    cause: str | None = None
    item: str | None = None
    empties: tuple[str, ...] | None = None
    trained: tuple[str, ...] | None = None
    signed_by: str | None = None


class Evidence:
    """Keeps what visits leave behind. Unknown ids raise `NotFound`, finished visits `Conflict`."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        files: AttachmentStore,
        store: TelemetryStore | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._files = files
        self._store = store

    def note(
        self, tenant: TenantId, work_order_id: WorkOrderId, notes: VisitNotes, *, actor: str
    ) -> VisitRecord:
        """Add to the record of a visit that goes on."""
        with self._uow_factory() as uow:
            order = self._open_order(uow, tenant, work_order_id)
            visit = visit_record(uow, order)
            saved = uow.fieldwork.visits.save(self._noted(visit, notes, actor))
            uow.commit()
        return saved

    def attach(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        kind: AttachmentKind,
        content: bytes,
        *,
        actor: str,
        note: str = "",
    ) -> Attachment:
        """Keep a photo or signature; the same content at the same order is kept once."""
        media_type = checked_image(kind, content, self._policy.fieldwork.photo_bytes_most)
        sha256 = hashlib.sha256(content).hexdigest()
        with self._uow_factory() as uow:
            self._open_order(uow, tenant, work_order_id)
            present = uow.fieldwork.attachments.where(tenant, work_order_id=work_order_id)
            same = next((each for each in present if each.sha256 == sha256), None)
            if same is not None:
                return same
            if len(present) >= self._policy.fieldwork.photos_most:
                raise Conflict(f"a work order holds at most {self._policy.fieldwork.photos_most} files")
            self._files.save(sha256, content)  # first the bytes: a row never points at nothing
            made = uow.fieldwork.attachments.add(
                Attachment(
                    tenant=tenant,
                    work_order_id=work_order_id,
                    kind=kind,
                    sha256=sha256,
                    media_type=media_type,
                    size_bytes=len(content),
                    added_at=self._clock.now(),
                    added_by=actor,
                    note=note,
                )
            )
            uow.commit()
        return made

    def keep_photo(self, content: bytes) -> KeptPhoto:
        """Keep a photo of a fault that somebody reports; `InvalidValue` says what is wrong with it."""
        return keep_photo(self._files, content, self._policy.fieldwork.photo_bytes_most)

    def photo_of(self, ticket: Ticket) -> tuple[bytes, str]:
        """Return the bytes and media type of the photo that came with a report; `NotFound` when none did."""
        sha256 = ticket.detail.get("photo_sha256")
        if not sha256:
            raise NotFound(f"ticket {ticket.ticket_id} has no photo")
        return self._files.load(str(sha256)), str(ticket.detail["photo_type"])

    def content(self, attachment: Attachment) -> bytes:
        """Return the bytes of a file, checked against their hash."""
        return self._files.load(attachment.sha256)

    def test_print(self, uow: UnitOfWork, order: WorkOrder, now: datetime) -> CheckMark | None:
        """Return the mark of the test print if telemetry has seen enough pages and no jam since the arrival."""
        since, before = order.started_at, order.count_before
        if self._store is None or since is None or before is None:
            return None
        reading = self._store.newest(order.tenant, order.device_id)
        count = reading.counters.billing_count if reading is not None else None
        if count is None or count - before < self._policy.fieldwork.test_pages:
            return None
        jams = [
            track
            for track in uow.signals.tracks(order.tenant, order.device_id)
            if track.cause.startswith("jam") and track.last_seen >= since
        ]
        if jams or any(
            event.code == "jammed" for event in self._store.events(order.tenant, since, now, order.device_id)
        ):
            return None
        return CheckMark(check=Check.TEST_PRINT, at=now, by="telemetry", note=str(count - before))

    def missing(self, uow: UnitOfWork, order: WorkOrder, visit: VisitRecord, now: datetime) -> list[Check]:
        """Return what is still to be shown before the visit may close with success."""
        telemetry = self.test_print(uow, order, now)
        return [
            check
            for check in REQUIRED.get(order.kind, ())
            if visit.mark(check) is None and not (check is Check.TEST_PRINT and telemetry is not None)
        ]

    def _open_order(self, uow: UnitOfWork, tenant: TenantId, work_order_id: WorkOrderId) -> WorkOrder:
        order = uow.work_orders.get(tenant, work_order_id)
        if order.state in _OVER:
            raise Conflict(f"work order {work_order_id} is {order.state}; nothing is added to it any more")
        return order

    def _noted(self, visit: VisitRecord, notes: VisitNotes, actor: str) -> VisitRecord:
        self._check(notes)
        now = self._clock.now()
        new = [check for check in notes.checks if visit.mark(check) is None]
        changes: dict[str, object] = {
            name: getattr(notes, name) for name in _PLAIN if getattr(notes, name) is not None
        }
        changes["checks"] = (*visit.checks, *(CheckMark(check=check, at=now, by=actor) for check in new))
        changes["empties"] = tuple(dict.fromkeys((*visit.empties, *_codes(notes.empties or ()))))
        return replace(visit, **changes)  # type: ignore[arg-type]  # fields of VisitRecord by name

    def _check(self, notes: VisitNotes) -> None:
        if Check.TEST_PRINT in notes.checks:
            raise InvalidValue("the test print is seen by telemetry; print and wait for the next reading")
        if len(notes.parts or ()) > _MOST or len(notes.trained or ()) > _MOST:
            raise InvalidValue(f"at most {_MOST} parts and names at a visit")
        if notes.labour_minutes is not None and not 0 <= notes.labour_minutes <= _LONGEST_MINUTES:
            raise InvalidValue("labour is 0 to 1440 minutes")
        if notes.item is not None and self._policy.billing.repairs.item(notes.item) is None:
            raise InvalidValue(f"the price list has no item {notes.item[:64]!r}")


def visit_record(uow: UnitOfWork, order: WorkOrder) -> VisitRecord:
    """Return the record of an order's visit, made when there is none yet."""
    found = uow.fieldwork.visit_of(order.tenant, order.work_order_id)
    return found or uow.fieldwork.visits.add(
        VisitRecord(
            tenant=order.tenant,
            work_order_id=order.work_order_id,
            device_id=order.device_id,
            customer_id=order.customer_id,
        )
    )


def _codes(codes: Iterable[str]) -> list[str]:
    clean = [code.strip() for code in codes]
    if len(clean) > _MOST or any(not code or len(code) > _CODE_LENGTH for code in clean):
        raise InvalidValue(f"scan at most {_MOST} codes of 1 to {_CODE_LENGTH} characters")
    return clean
