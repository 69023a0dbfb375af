"""What doctor says about libraries, clock and certificate, for each way that these can stand."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.health_findings import Verdict
from config.health_security import (
    examine_certificate,
    examine_clock,
    examine_libraries,
    installed_libraries,
)
from config.settings import Api, load_settings

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TODAY = NOW.date()


def verdicts(installed: dict[str, str], today: date = TODAY) -> list[tuple[Verdict, str]]:
    return [(found.verdict, found.what) for found in examine_libraries(installed, today)]


@pytest.mark.parametrize(
    ("version", "hole"),
    [("3.1.5", True), ("3.1.6rc1", False), ("3.1.6", False), ("3.10", False), ("2.11.3", True)],
)
def test_library_with_a_known_hole_is_named_with_its_advisory(version, hole):
    (found,) = verdicts({"jinja2": version, "something-else": "0.1"})
    assert found[0] is (Verdict.WARNING if hole else Verdict.OK)
    assert ("CVE-2025-27516" in found[1]) is hole


def test_list_that_nobody_has_looked_through_for_long_says_so():
    (found,) = verdicts({}, date(2027, 9, 1))
    assert found == (Verdict.WARNING, "the list of known holes is of 2026-11-23")


def test_this_installation_has_no_known_hole():
    installed = installed_libraries()
    assert "starlette" in installed
    assert [found[0] for found in verdicts(installed)] == [Verdict.OK]


@pytest.mark.parametrize(
    ("now", "newest", "verdict"),
    [
        (NOW, None, Verdict.OK),
        (NOW, NOW - timedelta(days=3), Verdict.OK),
        (NOW, NOW + timedelta(minutes=4), Verdict.OK),
        (NOW, NOW + timedelta(hours=8), Verdict.WARNING),
        (datetime(1970, 1, 1, tzinfo=UTC), None, Verdict.WARNING),
    ],
)
def test_clock_that_cannot_be_right(now, newest, verdict):
    assert examine_clock(now, newest).verdict is verdict


def with_certificate(path: Path, days: int) -> Api:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drumbeat.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return load_settings(environment={}).api.model_copy(
        update={"tls_certificate": str(path), "tls_key": str(path)}
    )


@pytest.mark.parametrize(("days", "verdict"), [(90, Verdict.OK), (20, Verdict.WARNING), (-1, Verdict.FAILED)])
def test_certificate_is_told_before_it_ends(tmp_path, days, verdict):
    (found,) = examine_certificate(with_certificate(tmp_path / "cert.pem", days), NOW)
    assert (found.verdict, found.check) == (verdict, "certificate")


def test_certificate_that_cannot_be_read(tmp_path):
    api = with_certificate(tmp_path / "cert.pem", 90)
    (tmp_path / "cert.pem").write_text("nothing")
    (found,) = examine_certificate(api, NOW)
    assert found.verdict is Verdict.FAILED


def test_no_certificate_no_finding():
    assert list(examine_certificate(load_settings(environment={}).api, NOW)) == []
