"""Bodies about the policy: figures, versions, and a change that comes into force on a date."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from api.schemas.base import Input, Name, Output, clean_text
from crm_core.domain.policy_figures import PolicyFigure, PolicyVersionInfo

Value = bool | int | float | str


class FigureBody(Output):
    """One figure of the business with its unit, requirement, note, and the version that brought its value."""

    key: str
    value: Value
    unit: str
    requirement: int
    note: str
    version: str
    since: date

    @classmethod
    def of(cls, figure: PolicyFigure) -> "FigureBody":
        return cls.model_validate(figure)


class ChangedFigure(Output):
    """A figure before and after a version."""

    key: str
    before: Value
    after: Value


class PolicyVersionBody(Output):
    """One version of the policy and what it changed."""

    version: str
    effective_from: date
    in_force: bool
    changes: list[ChangedFigure]

    @classmethod
    def of(cls, info: PolicyVersionInfo) -> "PolicyVersionBody":
        return cls(
            version=info.version,
            effective_from=info.effective_from,
            in_force=info.in_force,
            changes=[
                ChangedFigure(key=key, before=before, after=after)
                for key, (before, after) in sorted(info.changes.items())
            ],
        )


class PolicyChangeInput(Input):
    """Figures that shall have other values from a date on (YYYY-MM-DD), under the name of a new version."""

    version: Name
    effective_from: date
    figures: Annotated[
        dict[
            Annotated[str, Field(min_length=3, max_length=128)],
            bool | int | float | Annotated[str, Field(max_length=200), AfterValidator(clean_text)],
        ],
        Field(min_length=1, max_length=100),
    ]
    note: Annotated[str, Field(max_length=200), AfterValidator(clean_text)] = ""

    @field_validator("effective_from", mode="before")
    @classmethod
    def _a_day(cls, told: object) -> object:
        """Read the ISO form that JSON has; strict models take only dates."""
        return date.fromisoformat(told) if isinstance(told, str) and len(told) == 10 else told
