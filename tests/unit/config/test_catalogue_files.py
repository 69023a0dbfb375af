"""The catalogue: the machines of the documents with their capabilities, and refusals by row."""

import re
import tomllib
from pathlib import Path

import pytest

from config.catalogue_files import load_catalogue
from crm_core.domain.errors import InvalidConfiguration

GOOD = """models:
  - id: maker-one
    vendor: Maker
    name: Maker One
    patterns: ["maker one"]
    technology: laser
    design_life: 1000
    pages_a_month: 10
    supplies:
      - {kind: toner, colour: black, yield: 100}
    source: a test
"""


def test_the_three_machines_of_the_documents() -> None:
    catalogue = load_catalogue()
    small = catalogue.match("HP", "HP LaserJet M126nw")
    medium = catalogue.match("Canon", "Canon iR-ADV C3525i")
    large = catalogue.match("Fuji Xerox", "ApeosPort-VII C7773")
    assert small is catalogue.match(None, "HP LaserJet Pro MFP M126nw")
    assert small is not None
    assert medium is not None
    assert large is not None
    assert [model.model_id for model in (small, medium, large)] == [
        "hp-laserjet-m126nw", "canon-ir-adv-c3525i", "fujixerox-apeosport-vii-c7773",
    ]  # fmt: skip
    assert not small.capabilities.colour
    assert small.capabilities.dpi == 600
    assert medium.capabilities.duplex
    assert medium.capabilities.disk_encryption
    assert large.capabilities.pantone
    assert large.capabilities.user_rights
    for model in (small, medium, large):
        toners = [supply for supply in model.supplies if supply.kind == "toner"]
        assert len(toners) == (4 if model.capabilities.colour else 1)
        assert all(supply.yield_pages for supply in toners)
        assert "estimated" in model.source


def test_a_dozen_common_ones_beside_them() -> None:
    assert len(load_catalogue().models) >= 15


def test_no_model_takes_the_name_of_another() -> None:
    catalogue = load_catalogue()
    for model in catalogue.models:
        assert catalogue.match(model.vendor, model.name) is model


def test_simulated_models_are_known(project: Path) -> None:
    catalogue = load_catalogue()
    rows = tomllib.loads((project / "simulators/models.toml").read_text(encoding="utf-8"))["model"]
    for row in rows:
        known = catalogue.find(row["id"])
        assert known is not None, row["id"]
        assert catalogue.match(None, row["name"]) is known
        assert known.design_life_pages == row["life"]
        toners = {s.colour: s.yield_pages for s in known.supplies if s.kind in {"toner", "ink"}}
        colours = {"K": "black", "C": "cyan", "M": "magenta", "Y": "yellow"}
        assert toners == {colours[key]: pages for key, (_, pages) in row["toner"].items()}


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("models:", "modells:", "needs a list"),
        ("design_life: 1000", "design_life: -1", "design_life"),
        ("technology: laser", "technology: magic", "technology"),
        ("kind: toner", "kind: tonner", "supplies.0.kind"),
        ('["maker one"]', '["maker ("]', "regular expression"),
        ("    source: a test\n", "", "source"),
        ("    name: Maker One\n", "    name: Maker One\n    colour: red\n", "colour"),
        ("models:", "models: [", "not YAML"),
        ("    vendor: Maker\n", "    vendor: Maker\n    vendor: Maker\n", "twice"),
    ],
)
def test_a_wrong_row_is_refused_by_name(tmp_path: Path, old: str, new: str, part: str) -> None:
    (tmp_path / "models.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match=re.escape(part)) as refusal:
        load_catalogue(tmp_path)
    assert "\n" not in str(refusal.value)


def test_an_id_stands_once(tmp_path: Path) -> None:
    rows = GOOD + GOOD.removeprefix("models:\n")
    (tmp_path / "models.yaml").write_text(rows, encoding="utf-8")
    with pytest.raises(InvalidConfiguration, match="maker-one"):
        load_catalogue(tmp_path)


def test_the_file_may_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"models\.yaml"):
        load_catalogue(tmp_path)
