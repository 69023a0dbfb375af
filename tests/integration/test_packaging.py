"""The wheel is complete, pollutes nothing, and its own packages win over foreign ones of the same name (decision 0001)."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.architecture import tree


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from the tree as git sees it."""
    project = Path(__file__).parents[2]
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tree.files(project):
        if path.parts[0] in tree.PACKAGES or len(path.parts) == 1:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_bytes((project / path).read_bytes())
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False, timeout=60)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return a fresh environment's python with the wheel, its dependencies, and foreign packages of our names.

    A wheel is a zip of site-packages: unpacking it needs neither pip nor the network.
    """
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in tree.PACKAGES:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text('raise ImportError("a foreign package won")\n')
    return python


def test_the_wheel_pollutes_nothing(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"drumbeat.py", "drumbeat_app"}


def test_the_wheel_carries_every_file_of_the_product(project: Path, wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    ours = [path for path in tree.files(project) if path.parts[0] in tree.PACKAGES]
    assert not [str(path) for path in ours if f"drumbeat_app/{path.as_posix()}" not in carried]


def test_the_wheel_starts_beside_foreign_packages(fresh_python: Path, tmp_path: Path) -> None:
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DRUMBEAT_"))
    }
    command = [
        str(fresh_python),
        "-c",
        "import sys, drumbeat; sys.argv[0] = 'drumbeat'; drumbeat.main()",
        "--help",
    ]
    started = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert started.returncode == 0, started.stderr
    assert "demo" in started.stdout


def test_the_checkout_starts_from_another_folder(project: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DRUMBEAT_")}
    command = [sys.executable, str(project / "drumbeat.py"), "--help"]
    started = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert started.returncode == 0, started.stderr
