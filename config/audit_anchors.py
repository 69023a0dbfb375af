"""The anchors of the audit chain: signed lines in a file beside the database, one for each time the chain had grown."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from config.wiring.core import Core
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.identity import TenantId
from crm_core.domain.wire import instant_to_json
from crm_core.ports import PersonalLock
from crm_core.trust.chain import Anchor, ChainReport, make_anchor, verify_chain

FILE: Final = "audit-anchors.jsonl"


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: str
    number: int
    chain: str
    at: datetime
    signature: str


def read_anchors(path: Path) -> list[Anchor]:
    """Return the anchors of the file; a last line that a crash cut off does not count, another bad line is refused."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    anchors = []
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1], 1):  # behind the last line end stands nothing, or a torn line
        try:
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError as error:
            raise InvalidConfiguration(f"{path}, line {number}: {error}; restore it from a backup") from error
        anchors.append(
            Anchor(
                tenant=TenantId(found.tenant),
                number=found.number,
                chain=found.chain,
                at=found.at,
                signature=found.signature,
            )
        )
    return anchors


def write_anchor(core: Core, lock: PersonalLock) -> Anchor | None:
    """Note the present end of the chain when it grew since the last anchor; return the new anchor."""
    path = core.settings.general.folder / FILE
    with core.uow_factory() as uow:
        head = uow.trust.head(core.tenant)
    newest = max((anchor.number for anchor in read_anchors(path) if anchor.tenant == core.tenant), default=0)
    if head is None or head.number <= newest:
        return None
    anchor = make_anchor(lock, head, core.clock.now())
    line = json.dumps(
        {
            "tenant": anchor.tenant,
            "number": anchor.number,
            "chain": anchor.chain,
            "at": instant_to_json(anchor.at),
            "signature": anchor.signature,
        }
    )
    _append(path, line)
    return anchor


def verify(core: Core, lock: PersonalLock, tenant: TenantId | None = None) -> ChainReport:
    """Verify the chain of a tenant (the core's unless told) against its anchors."""
    return verify_chain(
        core.uow_factory, tenant or core.tenant, read_anchors(core.settings.general.folder / FILE), lock
    )


def _append(path: Path, line: str) -> None:
    """Append a line durably; what a crash left of a torn line is ended first."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        if torn:
            kept = path.read_bytes().rpartition(b"\n")[0]
            file.truncate(len(kept) + 1 if kept else 0)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
