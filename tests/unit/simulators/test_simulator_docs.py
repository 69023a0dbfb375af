"""What docs/simulators.md tells a developer to type works: a model and a scenario in about ten lines of data."""

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

from simulators.device import DeviceSpec, Fleet, Roster, SiteSpec, devices_of
from simulators.models import HERE, default_models, read_models
from simulators.runner import run_headless
from simulators.scenario import load_scenario, scenario_names


def blocks(project: Path) -> list[str]:
    text = (project / "docs" / "simulators.md").read_text("utf-8")
    return re.findall(r"```toml\n(.*?)```", text, re.DOTALL)


def test_the_model_of_the_docs_prints(project: Path, tmp_path: Path):
    block = blocks(project)[0]
    assert len(block.splitlines()) <= 11
    path = tmp_path / "models.toml"
    path.write_text((HERE / "models.toml").read_text("utf-8") + "\n" + block, "utf-8")
    models = read_models(path, HERE / "vendors.toml")
    (name,) = set(models) - set(default_models())
    roster = Roster(
        sites=(SiteSpec(site_id="s"),),
        devices=(DeviceSpec(device_id="d", site_id="s", model_id=name),),
    )
    fleet = Fleet(roster, seed=1, start=date(2025, 1, 6), models=models)
    (device,) = devices_of(fleet)
    at = datetime(2025, 2, 6, 4, tzinfo=UTC)
    assert device.state(at).meters["total"] > device.state(at.replace(month=1)).meters["total"]
    assert device.varbinds(at)["1.3.6.1.2.1.25.3.2.1.3.1"] == b"MP 2555"


def test_the_scenario_of_the_docs_runs(project: Path, tmp_path: Path):
    block = blocks(project)[1]
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    path = tmp_path / "canteen.toml"
    path.write_text(block, "utf-8")
    summary = run_headless(load_scenario(path))
    assert summary.devices == 3
    assert summary.failures >= 1


def test_every_story_key_and_test_that_the_docs_name_exists(project: Path):
    text = (project / "docs" / "simulators.md").read_text("utf-8")
    for name in scenario_names():
        assert f"`{name}`" in text
    for path in sorted((HERE / "scenarios").glob("*.toml")):
        for key in tomllib.loads(path.read_text("utf-8")):
            assert re.search(rf"`\[*{key}\]*`", text), key
    here = Path(__file__).parent
    known = [
        name
        for path in here.glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    ]
    for stated in re.findall(r"`(test_\w+)\.\.\.`", text):
        assert any(name.startswith(stated) for name in known), stated
