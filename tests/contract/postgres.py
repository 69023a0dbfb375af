"""A private PostgreSQL cluster for tests: a temporary folder, a free port, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_cluster(initdb: Path, pg_ctl: Path, port: int) -> Iterator[str]:
    """Start a cluster and yield its URL. PostgreSQL refuses to run as root: then the user `postgres` runs it."""
    folder = Path(tempfile.mkdtemp(prefix="drumbeat-pg-"))
    as_user = _other_user(folder)
    data = folder / "data"
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=60"
    try:
        _run([initdb, "-D", data, "-U", "drumbeat", "-A", "trust", "-E", "UTF8", "--no-locale"], as_user)
        _run([pg_ctl, "-D", data, "-w", "-o", options, "-l", folder / "log", "start"], as_user)
        try:
            yield f"postgresql+psycopg://drumbeat@127.0.0.1:{port}/postgres"
        finally:
            _run([pg_ctl, "-D", data, "-m", "immediate", "stop"], as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _other_user(folder: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_name


def _run(command: list[str | Path], user: str | None) -> None:
    subprocess.run(
        [str(part) for part in command], check=True, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", timeout=60,
    )  # fmt: skip
