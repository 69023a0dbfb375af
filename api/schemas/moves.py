"""Moving a device as JSON: where it goes, on which contract line it serves there, and what came of it."""

from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.base import Input, Name, Output
from crm_core.agreements.contract_devices import LinePlace
from crm_core.domain.fleet import Device


class MoveDeviceInput(Input):
    """Where a device goes; `count` is its counter now (without one what it said last), the line is free or left out."""

    site_id: Name
    count: Annotated[int, Field(ge=0, le=10**12)] | None = None
    contract_id: Name | None = None
    line_id: Name | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _whole_line(self) -> "MoveDeviceInput":
        if (self.contract_id is None) != (self.line_id is None):
            raise ValueError("name contract_id and line_id together, or neither")
        return self

    def line(self) -> LinePlace | None:
        """Return the line that the device serves from now on."""
        if self.contract_id is None or self.line_id is None:
            return None
        return LinePlace(self.contract_id, self.line_id)


class MovedDevice(Output):
    """Where a device stands after a move; `count` is the counter that ends its old stay and begins the new one."""

    device_id: str
    site_id: str | None
    customer_id: str | None
    contract_id: str | None
    line_id: str | None
    count: int | None
    dry_run: bool

    @classmethod
    def of(cls, device: Device, count: int | None, asked: MoveDeviceInput) -> "MovedDevice":
        return cls(
            device_id=device.device_id,
            site_id=device.site_id,
            customer_id=device.customer_id,
            contract_id=device.contract_id,
            line_id=asked.line_id,
            count=count,
            dry_run=asked.dry_run,
        )
