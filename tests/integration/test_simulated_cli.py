"""`drumbeat simulate --scenario` as a person types it: one JSON on stdout, errors in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from simulators.scenario import scenario_names
from tests.command_line import Done, Shell


@pytest.fixture
def drumbeat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Return a function that runs a command on a data folder of its own."""
    return partial(Shell(capsys, monkeypatch), data=tmp_path)


def test_a_story_runs_through_at_once(drumbeat, tmp_path: Path):
    done = drumbeat(
        "simulate", "--scenario", "credit_and_money", "--headless", "--seed", "5", "--json",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["scenario"], summary["seed"], summary["devices"]) == ("credit_and_money", 5, 3)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(summary["files"])


def test_stories_are_listed_and_errors_are_one_line(drumbeat):
    listed = drumbeat("simulate", "--scenarios").stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(scenario_names())
    wrong = drumbeat("simulate", "--scenario", "nothing")
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert len(wrong.stderr.splitlines()) == 1
    assert drumbeat("simulate").returncode == 2


def test_a_live_story_registers_itself_stops_on_ctrl_c_and_sums_up(drumbeat, project: Path, tmp_path: Path):
    command = [
        sys.executable,
        "drumbeat.py",
        "--data",
        str(tmp_path),
        "simulate",
        "--scenario",
        "power_cut",
        "--devices",
        "10",
        "--register",
        "--json",
    ]
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    try:
        assert "10 printers are registered" in process.stderr.readline()
        assert "power cut" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["devices"] == 10
    listed = json.loads(drumbeat("device", "list", "--json").stdout)
    assert len(listed) == 10
    assert {row["site"] for row in listed} == {"mill", "harbour"}
    assert all(row["model_id"] and row["host"].startswith("127.46.0.") for row in listed)


def test_the_help_names_the_options(drumbeat):
    text = drumbeat("simulate", "--help").stdout
    for option in ("--scenario", "--devices", "--speed", "--seed", "--headless", "--mqtt"):
        assert option in text


def test_histories_are_written_where_asked(drumbeat, tmp_path: Path):
    done = drumbeat(
        "simulate",
        "history",
        str(tmp_path / "h"),
        "--devices",
        "5",
        "--days",
        "40",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    files = [Path(name) for name in json.loads(done.stdout)]
    assert len(files) == 8
    assert all(path.is_file() for path in files)


def test_a_proxy_carries_traffic_until_it_is_stopped(project: Path, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [
            sys.executable,
            "drumbeat.py",
            "--data",
            str(tmp_path),
            "simulate",
            "proxy",
            target,
            "--delay",
            "0.01",
        ]
        process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
        try:
            host, _, port = process.stdout.readline().strip().partition(":")
            with socket.create_connection((host, int(port)), timeout=60) as client:
                client.sendall(b"hello")
                far, _ = listener.accept()
                with far:
                    assert far.recv(10) == b"hello"
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert process.returncode in (0, 130)
