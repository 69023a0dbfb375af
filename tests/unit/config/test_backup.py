"""Backup, wipe, restore: the same rows and checksums; damage and foreign files are refused whole."""

import io
import json
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.backup import MANIFEST, make_backup, restore_backup
from config.settings import Settings, load_settings
from crm_core.domain.errors import Conflict, InvalidValue, StoreUnavailable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a small installation with data."""
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "crm.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE customer (name TEXT)")
        db.executemany("INSERT INTO customer VALUES (?)", [(f"c{i}",) for i in range(500)])
        db.commit()
    (folder / "models").mkdir()
    (folder / "models" / "supplies.skops").write_bytes(b"model" * 100)
    (folder / "credentials.key").write_text("key", encoding="utf-8")
    return load_settings(environment={}).changed(general={"data_dir": folder})


def rows(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "crm.sqlite")) as db:
        return [name for (name,) in db.execute("SELECT name FROM customer ORDER BY rowid")]


def test_backup_wipe_restore(settings: Settings, tmp_path: Path) -> None:
    folder = settings.general.folder
    before = rows(folder)
    with closing(sqlite3.connect(folder / "crm.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")  # somebody writes while the backup is made
        writer.execute("INSERT INTO customer VALUES ('not committed')")
        made = make_backup(settings, tmp_path / "b.tar.gz", NOW, "1")
        writer.rollback()
    assert set(made.parts) == {"crm.sqlite", "models/supplies.skops", "credentials.key"}
    found = restore_backup(made.file, tmp_path / "new")
    assert found.parts == made.parts
    assert rows(tmp_path / "new") == before
    assert (tmp_path / "new" / "models" / "supplies.skops").read_bytes() == b"model" * 100
    again = make_backup(
        settings.changed(general={"data_dir": tmp_path / "new"}), tmp_path / "c.tar.gz", NOW, "1"
    )
    assert again.parts.keys() == made.parts.keys()
    assert made.file.stat().st_mode & 0o077 == 0


def test_nothing_is_overwritten(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    make_backup(settings, file, NOW, "1")
    with pytest.raises(Conflict, match="never overwrites"):
        make_backup(settings, file, NOW, "1")
    with pytest.raises(Conflict, match="--replace"):
        restore_backup(file, settings.general.folder)
    restore_backup(file, settings.general.folder, replace=True)
    aside = settings.general.folder.with_name("data.before-restore")
    assert rows(aside) == rows(settings.general.folder)
    with pytest.raises(Conflict, match="before-restore"):
        restore_backup(file, settings.general.folder, replace=True)


def test_a_damaged_backup_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    make_backup(settings, file, NOW, "1")
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 0xFF
    file.write_bytes(body)
    with pytest.raises(InvalidValue):
        restore_backup(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "short.tar.gz").write_bytes(bytes(body[:200]))
    with pytest.raises(InvalidValue):
        restore_backup(tmp_path / "short.tar.gz", tmp_path / "new")
    with pytest.raises(InvalidValue):
        restore_backup(tmp_path / "absent.tar.gz", tmp_path / "new")


def hostile(file: Path, *, name: str, parts: dict[str, object], kind: bytes = tarfile.REGTYPE) -> Path:
    """Write an archive as an attacker would."""
    manifest = json.dumps({"format": "drumbeat.backup/1", "made_at": "x", "parts": parts}).encode()
    with tarfile.open(file, "w:gz") as tar:
        for entry_name, body in ((MANIFEST, manifest), (name, b"evil")):
            entry = tarfile.TarInfo(entry_name)
            entry.size = len(body)
            if entry_name == name:
                entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry, io.BytesIO(body))
    return file


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "models/../../outside"])
def test_no_entry_leaves_the_folder(tmp_path: Path, name: str) -> None:
    file = hostile(tmp_path / "evil.tar.gz", name=name, parts={name: {"sha256": "0", "bytes": 4}})
    with pytest.raises(InvalidValue, match="does not allow"):
        restore_backup(file, tmp_path / "new")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_only_plain_files_are_taken(tmp_path: Path, kind: bytes) -> None:
    file = hostile(tmp_path / "evil.tar.gz", name="x", parts={"x": {"sha256": "0", "bytes": 4}}, kind=kind)
    with pytest.raises(InvalidValue):
        restore_backup(file, tmp_path / "new")


def test_checksum_and_completeness_decide(tmp_path: Path) -> None:
    file = hostile(tmp_path / "evil.tar.gz", name="x", parts={"x": {"sha256": "0" * 64, "bytes": 4}})
    with pytest.raises(InvalidValue, match="checksum"):
        restore_backup(file, tmp_path / "new")
    file = hostile(tmp_path / "more.tar.gz", name="x", parts={})
    with pytest.raises(InvalidValue, match="does not allow"):
        restore_backup(file, tmp_path / "new")


def test_a_damaged_database_is_not_backed_up(settings: Settings, tmp_path: Path) -> None:
    (settings.general.folder / "telemetry.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StoreUnavailable, match="telemetry"):
        make_backup(settings, tmp_path / "b.tar.gz", NOW, "1")
    assert not (tmp_path / "b.tar.gz").exists()
