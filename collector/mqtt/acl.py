"""Mosquitto's password and access files: one credential for each edge agent, which may only speak for its own site.

The password hash is mosquitto's own format 7 (PBKDF2 with SHA-512, `mosquitto_passwd` of 2.x); the plain password is
given out once and never kept.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.mqtt.topics import AGENT, ROOT
from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import checked_identifier
from crm_core.domain.opaque import new_secret

_ITERATIONS: Final = (
    101  # mosquitto 2.0 writes and reads this figure; passwords made here have 192 random bits
)
COLLECTOR: Final = "drumbeat-collector"


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """Who may sign in at the broker: the agent of one site."""

    tenant: str
    site_id: str

    @property
    def username(self) -> str:
        return f"{self.tenant}.{self.site_id}"


def new_password() -> str:
    """Return a password that nobody can guess."""
    return new_secret(24)


def password_line(username: str, password: str, salt: bytes | None = None) -> str:
    """Return one line of a mosquitto password file."""
    if ":" in username or "\n" in username:
        raise InvalidValue(f"user name {username!r} may not hold ':' or a line end")
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    parts = (base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
    return f"{username}:$7${_ITERATIONS}${parts[0]}${parts[1]}"


def acl_text(accounts: Sequence[Account]) -> str:
    """Return the access file: the collector reads everything and writes marks, an agent stays within its site."""
    lines = [
        "# Written by `drumbeat mqtt acl`; mosquitto reads it again at SIGHUP.",
        f"user {COLLECTOR}",
        *(f"topic read {ROOT}/+/+/+/{kind}" for kind in ("reading", "event", "status")),
        f"topic write {ROOT}/+/+/+/ack",
    ]
    for account in sorted(accounts):
        checked_identifier(account.tenant, "tenant")
        checked_identifier(account.site_id, "site")
        site = f"{ROOT}/{account.tenant}/{account.site_id}"
        lines += [
            "",
            f"user {account.username}",
            *(f"topic write {site}/+/{kind}" for kind in ("reading", "event", "status")),
            f"topic write {site}/{AGENT}/status",
            f"topic read {site}/+/ack",
        ]
    return "\n".join(lines) + "\n"


def write_files(folder: Path, accounts: Sequence[Account], passwords: Mapping[str, str]) -> tuple[Path, Path]:
    """Write `passwords` and `acl` into `folder`; return their paths.

    `passwords` holds the plain passwords of new or changed users; lines of other known users stay as they are. A user
    without a password and without a line is an `InvalidValue`. Both files are readable by their owner only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password_file, acl_file = folder / "passwords", folder / "acl"
    known = _lines_by_user(password_file)
    lines: list[str] = []
    for username in (COLLECTOR, *(account.username for account in sorted(accounts))):
        if username in passwords:
            lines.append(password_line(username, passwords[username]))
        elif username in known:
            lines.append(known[username])
        else:
            raise InvalidValue(f"user {username} has no password yet: give one")
    for path, text in ((password_file, "\n".join(lines) + "\n"), (acl_file, acl_text(accounts))):
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(text, encoding="utf-8")
    return password_file, acl_file


def _lines_by_user(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    return {
        line.partition(":")[0]: line for line in path.read_text(encoding="utf-8").splitlines() if ":" in line
    }
