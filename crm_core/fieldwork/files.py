"""What a file really is: told from its first bytes, never from its name or what the sender says."""

import hashlib
from dataclasses import dataclass
from typing import Final

from crm_core.domain.errors import InvalidValue
from crm_core.domain.fieldwork import AttachmentKind
from crm_core.ports.fieldwork import AttachmentStore

_JPEG_START: Final = b"\xff\xd8\xff"
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_ALLOWED: Final = {
    AttachmentKind.PHOTO: frozenset({"image/jpeg", "image/png", "image/webp"}),
    AttachmentKind.SIGNATURE: frozenset({"image/png"}),
}


@dataclass(frozen=True, slots=True)
class KeptPhoto:
    """A photo that lies in the attachment store: its SHA-256 in hex, and its media type."""

    sha256: str
    media_type: str


def media_type_of(content: bytes) -> str | None:
    """Return the type of an image that people's cameras make (JPEG, PNG, WebP), or None."""
    if content.startswith(_JPEG_START) and content.rstrip(b"\0").endswith(b"\xff\xd9"):
        return "image/jpeg"
    if content.startswith(_PNG_START) and b"IEND" in content[-16:]:
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def checked_image(kind: AttachmentKind, content: bytes, most_bytes: int) -> str:
    """Return the type of an acceptable image; `InvalidValue` says what is wrong with it."""
    if not content:
        raise InvalidValue("the file is empty")
    if len(content) > most_bytes:
        raise InvalidValue(f"the file is larger than {most_bytes // 1024} KB")
    found = media_type_of(content)
    if found not in _ALLOWED[kind]:
        raise InvalidValue(f"a {kind} must be {' or '.join(sorted(_ALLOWED[kind]))}, whole and unchanged")
    return found


def keep_photo(files: AttachmentStore, content: bytes, most_bytes: int) -> KeptPhoto:
    """Keep an acceptable photo before any row points at it; `InvalidValue` says what is wrong with it."""
    media_type = checked_image(AttachmentKind.PHOTO, content, most_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    files.save(sha256, content)
    return KeptPhoto(sha256, media_type)
