"""One file that holds everything a firm would miss, and the way back: consistent copies while the product runs.

A backup is a gzipped tar: `manifest.json` first (version, time, SHA-256 and size of each part), then the databases as
SQLite's online backup copies them (a consistent state, readers and writers go on), keys, credentials and models. A
PostgreSQL database is backed up with its own tools (`pg_dump`); this is said, not hidden.
"""

import hashlib
import io
import json
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from config.settings import Settings
from crm_core.domain.errors import Conflict, InvalidValue, StoreUnavailable
from crm_core.domain.wire import instant_to_json

FORMAT: Final = "drumbeat.backup/1"
MANIFEST: Final = "manifest.json"
LOG: Final = "last_backup.json"  # in the data folder, for `drumbeat doctor`
#: Not kept: what SQLite makes beside a database, and what a backup leaves behind itself.
_LEFT_OUT: Final = ("-wal", "-shm", "-journal", LOG)
_MAX_MANIFEST: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds. `parts` maps names to SHA-256."""

    file: Path
    made_at: str
    parts: dict[str, str]
    bytes: int
    left_out: tuple[str, ...] = ()


def _elsewhere(settings: Settings) -> Iterator[str]:
    """Yield what the data folder does not hold, each with the tool that keeps it."""
    if not settings.crm_url.startswith("sqlite"):
        yield "the PostgreSQL CRM database: use pg_dump"
    if settings.telemetry.store == "influxdb":
        yield (
            f"the readings in InfluxDB ({settings.influxdb.database}): use `influx backup` or `influxd backup`; "
            "the journal telemetry.sqlite is inside, with newest states, daily figures and what InfluxDB has not got yet"
        )
    if settings.crm.personal_keys:
        yield "the keys of personal data: they stand in crm.personal_keys, and without them sealed fields stay shut"
    if settings.snmp.credential_keys:
        yield "the keys of SNMP credentials: they stand in snmp.credential_keys"
    if settings.policy.folder and settings.general.folder not in Path(settings.policy.folder).parents:
        yield f"the policy folder {settings.policy.folder}"


def make_backup(settings: Settings, file: Path, now: datetime, version: str) -> BackupReport:
    """Write a backup of the data folder to `file`, which must not exist; the product may run meanwhile."""
    folder = settings.general.folder
    if not folder.is_dir():
        raise InvalidValue(f"{folder} does not exist: nothing to back up")
    if file.exists():
        raise Conflict(f"{file} exists; a backup never overwrites another one")
    left_out = tuple(_elsewhere(settings))
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".backup-") as workshop:
        parts = dict(_collect(folder, Path(workshop)))
        manifest = {
            "format": FORMAT,
            "version": version,
            "made_at": instant_to_json(now),
            "parts": {
                name: {"sha256": _digest(path), "bytes": path.stat().st_size} for name, path in parts.items()
            },
            "left_out": list(left_out),
        }
        draft = Path(workshop) / "draft.tar.gz"
        _pack(draft, manifest, parts)
        draft.chmod(0o600)
        draft.replace(file)
    report = BackupReport(
        file=file,
        made_at=instant_to_json(now),
        parts={name: entry["sha256"] for name, entry in manifest["parts"].items()},  # type: ignore[attr-defined]  # built above
        bytes=file.stat().st_size,
        left_out=left_out,
    )
    (folder / LOG).write_text(json.dumps({"file": str(file), "made_at": report.made_at}), encoding="utf-8")
    return report


def restore_backup(file: Path, folder: Path, *, replace: bool = False) -> BackupReport:
    """Put the parts of a backup into `folder`, after all of them passed their checksums.

    A folder with data is refused unless `replace`; then its old content is moved aside to `<folder>.before-restore`.
    """
    if folder.exists() and any(folder.iterdir()) and not replace:
        raise Conflict(f"{folder} holds data; stop the product and say --replace to move it aside")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".restore-") as workshop:
        fresh = Path(workshop) / "data"
        fresh.mkdir(mode=0o700)
        manifest = _unpack(file, fresh)
        if folder.exists():
            _move_aside(folder)
        fresh.replace(folder)
    return BackupReport(
        file=file,
        made_at=str(manifest["made_at"]),
        parts={name: entry["sha256"] for name, entry in manifest["parts"].items()},
        bytes=file.stat().st_size,
        left_out=tuple(manifest.get("left_out", ())),
    )


def _collect(folder: Path, workshop: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of every part; databases as consistent copies in `workshop`."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name.endswith(_LEFT_OUT) or path.name.startswith("."):
            continue
        if path.suffix == ".sqlite":
            copy = workshop / name.replace("/", "_")
            _copy_database(path, copy)
            yield name, copy
        else:
            yield name, path


def _copy_database(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new, pages=4096)
            (verdict,) = new.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{source.name} cannot be copied: {error}") from error
    if verdict != "ok":
        raise StoreUnavailable(f"{source.name} is damaged: {verdict}; restore an earlier backup")


def _pack(draft: Path, manifest: dict[str, Any], parts: dict[str, Path]) -> None:
    with tarfile.open(draft, "w:gz", compresslevel=3) as tar:
        head = json.dumps(manifest, indent=1).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(head)
        tar.addfile(entry, io.BytesIO(head))
        for name, path in parts.items():
            tar.add(path, arcname=name, recursive=False)


def _unpack(file: Path, fresh: Path) -> dict[str, Any]:
    """Unpack into `fresh` what the manifest names, and nothing else; every checksum must fit."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            manifest = _manifest_of(tar, file)
            wanted: dict[str, dict[str, Any]] = dict(manifest["parts"])
            for entry in tar:
                if entry.name == MANIFEST:
                    continue
                _check_entry(entry, wanted, file)
                _write_part(tar, entry, fresh / entry.name, str(wanted.pop(entry.name)["sha256"]), file)
    except (OSError, EOFError, tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"{file} is not a whole backup: {error}") from error
    if wanted:
        raise InvalidValue(f"{file} lacks {', '.join(sorted(wanted))}")
    return manifest


def _manifest_of(tar: tarfile.TarFile, file: Path) -> dict[str, Any]:
    entry = tar.next()
    if entry is None or entry.name != MANIFEST or entry.size > _MAX_MANIFEST:
        raise InvalidValue(f"{file} is not a backup of Drumbeat")
    stream = tar.extractfile(entry)
    assert stream is not None
    manifest: dict[str, Any] = json.loads(stream.read())
    if manifest.get("format") != FORMAT:
        raise InvalidValue(f"{file} has format {manifest.get('format')!r}; this version reads {FORMAT}")
    return manifest


def _check_entry(entry: tarfile.TarInfo, wanted: dict[str, dict[str, Any]], file: Path) -> None:
    path = PurePosixPath(entry.name)
    if entry.name not in wanted or not entry.isreg() or path.is_absolute() or ".." in path.parts:
        raise InvalidValue(f"{file} holds {entry.name!r}, which its manifest does not allow")


def _write_part(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, sha256: str, file: Path) -> None:
    stream = tar.extractfile(entry)
    assert stream is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as out:
        while block := stream.read(1 << 20):
            digest.update(block)
            out.write(block)
    target.chmod(0o600)
    if digest.hexdigest() != sha256:
        raise InvalidValue(f"{file}: {entry.name} does not have the checksum of the manifest")


def _move_aside(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.before-restore")
    if aside.exists():
        raise Conflict(f"{aside} exists from an earlier restore; look at it and remove it first")
    folder.replace(aside)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
