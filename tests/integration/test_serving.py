"""The server around the application: HTTPS with a certificate of one's own, and several processes on one socket."""

import datetime as dt
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from config.wiring.serving import HttpServer
from crm_core.domain.errors import InvalidConfiguration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the PEM files of a self-signed certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "drumbeat.test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_https_with_a_certificate_of_ones_own(certificate):
    app = FastAPI()
    app.get("/")(lambda: {"safe": True})
    server = HttpServer("127.0.0.1", 0, *certificate)
    server.start(app)
    try:
        trusting = ssl.create_default_context(cafile=certificate[0])
        with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/", context=trusting) as answer:
            assert json.load(answer) == {"safe": True}
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", server.port), 5) as raw,
            old.wrap_socket(raw) as spoken,
        ):
            assert spoken.version() in ("TLSv1.2", "TLSv1.3")
        with pytest.raises(OSError, match=r".*"):  # plain HTTP gets no answer there
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=5).read()
    finally:
        server.stop()


def test_unusable_certificates_are_refused_at_start(certificate, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    for files in (
        (str(wrong), certificate[1]),
        (certificate[0], str(wrong)),
        (str(tmp_path / "absent"), "x"),
    ):
        with pytest.raises(InvalidConfiguration, match="tls_certificate"):
            HttpServer("127.0.0.1", 0, *files)


def children(pid):
    # -ww: without a terminal ps cuts lines at 80 columns, and a long path hid whose process it is
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return {int(line.split()[0]) for line in found.splitlines() if "resource_tracker" not in line}


def answered(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@contextmanager
def two_workers(folder, port):
    """Run `drumbeat api` with two workers; yield its process once both are there."""
    environment = os.environ | {
        "DRUMBEAT_GENERAL_DATA_DIR": str(folder),
        "DRUMBEAT_API_WORKERS": "2",
        "DRUMBEAT_API_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "drumbeat.py", "api"], cwd=ROOT, env=environment)
    try:
        until(lambda: answered(port) and len(children(process.pid)) == 1)
        yield process
    finally:
        process.terminate()
        assert process.wait(40) == 0


@pytest.mark.heavy
def test_several_processes_serve_one_port_and_a_dead_one_is_replaced(tmp_path, free_port):
    port = free_port()
    with two_workers(tmp_path, port) as process:
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {worker}) == 1)
        assert answered(port)
        (worker,) = children(process.pid) - {worker}
    assert not Path(f"/proc/{worker}").exists()
    assert not answered(port)


def health_checks(port):
    """Return how many checks of health the worker that happens to answer knows of."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        told = answer.read().decode()
    line = next(
        row
        for row in told.splitlines()
        if row.startswith("drumbeat_http_requests_total{") and "/healthz" in row
    )
    return float(line.split()[-1])


@pytest.mark.heavy
def test_whichever_worker_is_asked_tells_the_figures_of_both(tmp_path, free_port):
    port = free_port()
    with two_workers(tmp_path, port) as process:
        before = health_checks(port)
        assert all(answered(port) for _ in range(40))
        until(lambda: health_checks(port) == before + 40)  # an answer is counted after it was sent
        assert {health_checks(port) for _ in range(20)} == {before + 40}
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert health_checks(port) >= before + 40  # what it counted stays
