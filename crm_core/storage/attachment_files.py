"""Attachments on disk: one file for each content, named by its SHA-256, readable by its owner alone.

A file appears under its name only when all of it is durable (written beside, synced, renamed), so that a crash leaves
either the whole file or none, and a copy of the folder is a backup of it.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from crm_core.domain.errors import NotFound, StoreUnavailable


class FileAttachmentStore:
    """Files in a folder (`ports.AttachmentStore`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, sha256: str, content: bytes) -> None:
        place = self._place(sha256)
        if place.exists():
            return
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, beside = tempfile.mkstemp(dir=place.parent, prefix=".new-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(place)
            _sync_folder(place.parent)
        except OSError as error:
            raise StoreUnavailable(f"the file cannot be stored now: {error.strerror or error}") from error

    def load(self, sha256: str) -> bytes:
        try:
            content = self._place(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no file {sha256}; restore it from a backup") from error
        except OSError as error:
            raise StoreUnavailable(f"the file cannot be read now: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreUnavailable(f"the file {sha256} is damaged; restore it from a backup")
        return content

    def _place(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise NotFound("a file is named by its SHA-256 in hex")
        return self._folder / sha256[:2] / sha256


def _sync_folder(folder: Path) -> None:
    """Make the new name durable too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
