"""Where fitted models live: a skops file and a card each, never overwritten, with a pointer to the champion.

skops loads without running code from the file (types outside the allow-list are refused), so a model file from a
backup is no risk. The card says what the model learned from and how good it was; both are written before the pointer
moves, and the pointer moves by an atomic replace.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sklearn
import skops
import skops.io

from crm_core.domain.errors import InvalidValue, NotFound

#: The one type beyond those that skops trusts by itself: the trees of scikit-learn's own gradient boosting.
TRUSTED: Final = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A stored model: its id (name/number), the loaded content and its card."""

    model_id: str
    content: object
    card: Mapping[str, object]


class ModelRegistry:
    """Models of one tenant under a folder: `<name>/<number>.skops`, `<name>/<number>.json`, `<name>/champion`."""

    def __init__(self, folder: Path, inputs: Mapping[str, Sequence[str]] | None = None) -> None:
        """Look after `folder`; `inputs` names what a model of each name is fed with, in order.

        A champion that learned from other inputs (an older version of the product) is none: the formula or rule serves
        until the next training.
        """
        self._folder = folder
        self._inputs = {name: fingerprint(columns) for name, columns in (inputs or {}).items()}

    def add(self, name: str, content: object, card: Mapping[str, object]) -> str:
        """Store a model under the next number and return its id. Existing files are never touched."""
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        taken = (int(path.stem) for path in folder.iterdir() if path.stem.isdecimal())  # also by half a pair
        number = max(taken, default=0) + 1
        body = skops.io.dumps(content)
        full = {
            **card, "model_id": f"{name}/{number}", "sha256": hashlib.sha256(body).hexdigest(),
            "inputs": self._inputs.get(name),
            "versions": {"scikit-learn": sklearn.__version__, "skops": skops.__version__},
        }  # fmt: skip
        with (folder / f"{number}.skops").open("xb") as file:
            file.write(body)
        with (folder / f"{number}.json").open("x", encoding="utf-8") as text:
            json.dump(full, text, indent=1, ensure_ascii=False)
        return f"{name}/{number}"

    def promote(self, model_id: str) -> None:
        """Make a stored model the champion of its name."""
        name, _, number = model_id.rpartition("/")
        if not (self._folder / name / f"{number}.json").exists():
            raise NotFound(f"model {model_id} is not in {self._folder}")
        fresh = self._folder / name / "champion.new"
        fresh.write_text(number, encoding="utf-8")
        fresh.replace(self._folder / name / "champion")

    def demote(self, name: str) -> None:
        """Leave a name without champion: the formula or rule takes over."""
        (self._folder / name / "champion").unlink(missing_ok=True)

    def promoted_id(self, name: str) -> str | None:
        """Return the id that the pointer of a name holds, whether that model can serve or not; None: it names none."""
        try:
            number = (self._folder / name / "champion").read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        return f"{name}/{number}" if number.isascii() and number.isdigit() else None

    def champion_id(self, name: str) -> str | None:
        """Return the id of the champion, or None, also when it cannot serve (`refusal` says why); nothing is loaded."""
        return self._pointed(name)[0]

    def refusal(self, name: str) -> str | None:
        """Return why the promoted model of a name cannot serve, None if it can or none was promoted."""
        return self._pointed(name)[1]

    def champion(self, name: str) -> ModelRecord | None:
        """Return the champion of a name, or None when nothing was promoted or what was promoted cannot serve."""
        model_id = self.champion_id(name)
        return None if model_id is None else self.load(model_id)

    def _pointed(self, name: str) -> tuple[str | None, str | None]:
        """Return the promoted model's id, or None and why it cannot serve: its files may have been lost or changed."""
        model_id = self.promoted_id(name)
        if model_id is None:
            there = (self._folder / name / "champion").exists()
            return None, f"the pointer {name}/champion names no model" if there else None
        try:
            card = self.card(model_id)
            self._body(model_id, card)
        except (NotFound, InvalidValue) as error:
            return None, str(error)
        other = _other_version(card)
        if other is not None:
            return None, f"model {model_id} {other}"
        if name in self._inputs and card.get("inputs") != self._inputs[name]:
            return None, f"model {model_id} learned from other inputs than this version feeds it"
        return model_id, None

    def load(self, model_id: str) -> ModelRecord:
        """Return a stored model; its file must be the one that the card describes, fitted by this scikit-learn."""
        card = self.card(model_id)
        other = _other_version(card)
        if other is not None:
            raise InvalidValue(f"model {model_id} {other}")
        return ModelRecord(model_id, skops.io.loads(self._body(model_id, card), trusted=list(TRUSTED)), card)

    def _body(self, model_id: str, card: Mapping[str, object]) -> bytes:
        """Return the bytes of a model file, which must be those that the card describes."""
        name, _, number = model_id.rpartition("/")
        try:
            body = (self._folder / name / f"{number}.skops").read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"model {model_id} is not in {self._folder}") from error
        if hashlib.sha256(body).hexdigest() != card.get("sha256"):
            raise InvalidValue(
                f"model file of {model_id} is not the one that was stored: its SHA-256 differs from the card"
            )
        return body

    def card(self, model_id: str) -> Mapping[str, object]:
        """Return the card of a stored model without loading the model."""
        name, _, number = model_id.rpartition("/")
        try:
            found = json.loads((self._folder / name / f"{number}.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFound(f"model {model_id} is not in {self._folder}") from error
        except ValueError as error:
            raise InvalidValue(f"card of model {model_id} cannot be read: it is no JSON any more") from error
        if not isinstance(found, dict):
            raise InvalidValue(f"card of model {model_id} cannot be read: it is no JSON object")
        return found

    def cards(self, name: str) -> list[Mapping[str, object]]:
        """Return the cards of all models of a name, oldest first; one that was damaged is left out."""
        named = (path for path in (self._folder / name).glob("*.json") if path.stem.isdecimal())
        paths = sorted(named, key=lambda path: int(path.stem))
        found = []
        for path in paths:
            with suppress(InvalidValue):
                found.append(self.card(f"{name}/{path.stem}"))
        return found


def _other_version(card: Mapping[str, object]) -> str | None:
    """Return why a model cannot be loaded here: scikit-learn promises nothing for models of its other versions."""
    versions = card.get("versions")
    fitted = versions.get("scikit-learn") if isinstance(versions, Mapping) else None
    if fitted == sklearn.__version__:
        return None
    return f"was fitted by scikit-learn {fitted or 'of unknown version'}, here is {sklearn.__version__}"


def fingerprint(columns: Sequence[str]) -> str:
    """Return a short mark of the named columns and their order."""
    return hashlib.sha256("\n".join(columns).encode()).hexdigest()[:16]
