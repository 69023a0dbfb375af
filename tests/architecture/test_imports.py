"""The direction of imports: `.importlinter` holds for the tree, and each contract reports a planted violation."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tree

_WHY = '"""A module that was planted for a test."""\n\n'
#: contract name begins with -> (file, import) that breaks it
_PLANTED = {
    "The star": ("analytics/planted.py", "import collector.stores"),
    "Inside crm_core": ("crm_core/domain/planted.py", "import crm_core.ports"),
    "crm_core's domain": ("crm_core/domain/planted_pandas.py", "import pandas"),
    "The hot SNMP engine": ("simulators/planted_gufo.py", "import gufo.snmp"),
    "The portable SNMP engine": ("api/planted_pysnmp.py", "import pysnmp"),
    "MQTT clients": ("analytics/planted_paho.py", "import paho.mqtt.client"),
    "The embedded MQTT broker": ("collector/mqtt/planted_amqtt.py", "import amqtt"),
    "The InfluxDB client": ("api/planted_influx.py", "import influxdb_client"),
    "The timer": ("collector/planted_timer.py", "import apscheduler"),
    "The CRM database": ("api/planted_sql.py", "import sqlalchemy"),
    "HTTP and its pages": ("collector/planted_http.py", "import fastapi"),
    "The science stack": ("simulators/planted_science.py", "import sklearn"),
    "Command line and settings": ("collector/planted_cli.py", "import typer"),
    "Route solvers": ("config/planted_solver.py", "import pyvrp"),
    "Notifier services": ("api/planted_apprise.py", "import apprise"),
}


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(
        [*command, "--no-logo", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _broken(output: str) -> dict[str, str]:
    """Return the explanation under the heading of each broken contract, wrapped lines joined."""
    flat = " ".join(output.split("Broken contracts", 1)[1].split())
    starts = sorted((flat.index(f" {name}"), name) for name in _PLANTED if f" {name}" in flat)
    ends = [start for start, _ in starts[1:]] + [len(flat)]
    return {name: flat[start:end] for (start, name), end in zip(starts, ends, strict=True)}


def test_the_tree_keeps_its_contracts(project: Path) -> None:
    checked = _lint(project)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def planted_output(tmp_path_factory: pytest.TempPathFactory, project: Path) -> str:
    """Return what the contracts say about a copy of the tree with one violation of each."""
    root = tmp_path_factory.mktemp("planted")
    shutil.copy(project / ".importlinter", root)
    for path in tree.product_modules(project):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / path, root / path)
    for place, line in _PLANTED.values():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(f"{_WHY}{line}\n")
    checked = _lint(root)
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return checked.stdout


@pytest.mark.parametrize("contract", list(_PLANTED))
def test_a_planted_violation_breaks_its_contract(planted_output: str, contract: str) -> None:
    place, line = _PLANTED[contract]
    module, imported = place.removesuffix(".py").replace("/", "."), line.removeprefix("import ")
    external = imported if imported.startswith(tree.PACKAGES) else imported.split(".")[0]
    assert f"{module} -> {external}" in _broken(planted_output).get(contract, "")


def test_every_contract_has_a_planted_violation(project: Path) -> None:
    names = re.findall(r"^name = (.*)$", (project / ".importlinter").read_text(), re.MULTILINE)
    unproven = [name for name in names if not name.startswith(tuple(_PLANTED))]
    assert not unproven
    assert len(names) == len(_PLANTED)
