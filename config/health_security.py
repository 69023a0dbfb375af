"""What `drumbeat doctor` says about libraries with known holes, the clock, and the certificate: all without the internet."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from config.health_findings import Finding, Verdict
from config.settings import Api

ADVISORIES: Final = Path(__file__).parent / "advisories.toml"
LIST_AGE: Final = timedelta(days=180)
CERTIFICATE_LEFT: Final = timedelta(days=21)
CLOCK_AHEAD: Final = timedelta(minutes=5)


def installed_libraries() -> dict[str, str]:
    """Return the version of every installed library by its name in small letters."""
    return {each.metadata["Name"].lower().replace("_", "-"): each.version for each in distributions()}


def examine_libraries(
    installed: Mapping[str, str], today: date, advisories: Path = ADVISORIES
) -> Iterator[Finding]:
    """Yield a finding for each library with a known hole, and one about the list itself."""
    told: dict[str, Any] = tomllib.loads(advisories.read_text(encoding="utf-8"))
    rows = [row for row in told["advisory"] if row["package"] in installed]
    open_rows = [row for row in rows if _version(installed[row["package"]]) < _version(row["fixed_in"])]
    for row in open_rows:
        yield Finding(
            "libraries", Verdict.WARNING,
            f"{row['package']} {installed[row['package']]} has a known hole: {row['id']}",
            f"pip install '{row['package']}>={row['fixed_in']}', or install Drumbeat anew from requirements.lock",
        )  # fmt: skip
    reviewed: date = told["reviewed"]
    if today - reviewed > LIST_AGE:
        yield Finding(
            "libraries", Verdict.WARNING, f"the list of known holes is of {reviewed}",
            "update Drumbeat: each release brings a new list",
        )  # fmt: skip
    elif not open_rows:
        yield Finding("libraries", Verdict.OK, f"no library with a hole that was known on {reviewed}")


def examine_clock(now: datetime, newest: datetime | None, advisories: Path = ADVISORIES) -> Finding:
    """Return whether the clock can be right: not before this release was made, not behind what is stored already."""
    reviewed: date = tomllib.loads(advisories.read_text(encoding="utf-8"))["reviewed"]
    advice = "set the clock and keep it with NTP: due times, tokens and bills rest on it"
    if now < datetime(reviewed.year, reviewed.month, reviewed.day, tzinfo=UTC):
        return Finding(
            "clock", Verdict.WARNING, f"the clock says {now:%Y-%m-%d}, before this release", advice
        )
    if newest is not None and newest > now + CLOCK_AHEAD:
        what = (
            f"a reading of {newest:%Y-%m-%d %H:%M} is stored, and the clock says {now:%Y-%m-%d %H:%M} (UTC)"
        )
        return Finding("clock", Verdict.WARNING, what, advice)
    return Finding("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M} UTC, not behind what is stored")


def examine_certificate(api: Api, now: datetime) -> Iterator[Finding]:
    """Yield how long the certificate of `api.tls_certificate` is good; nothing without one."""
    if not api.tls:
        return
    try:
        read = x509.load_pem_x509_certificate(Path(api.tls_certificate).read_bytes())
    except (OSError, ValueError) as error:
        yield Finding(
            "certificate", Verdict.FAILED, f"{api.tls_certificate}: {error}", "mend api.tls_certificate"
        )
        return
    ends = read.not_valid_after_utc
    if ends <= now:
        yield Finding(
            "certificate", Verdict.FAILED, f"ended on {ends:%Y-%m-%d}", "renew it: browsers refuse it"
        )
    elif ends - now < CERTIFICATE_LEFT:
        yield Finding("certificate", Verdict.WARNING, f"ends on {ends:%Y-%m-%d}", "renew it now")
    else:
        yield Finding("certificate", Verdict.OK, f"good until {ends:%Y-%m-%d}")


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a release; what stands behind them (rc1, post1) does not matter for a known hole."""
    release = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in release[0].split(".")) if release else ()
