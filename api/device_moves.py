"""What moving a device asks for on the page and over the API: a site in sight, and a counter that can be true."""

from api.access import Principal
from api.services import ApiServices
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.fleet import Device, Site
from crm_core.ports import UnitOfWork


def site_in_sight(principal: Principal, uow: UnitOfWork, site_id: str) -> Site:
    """Return a site in sight; one that is absent or out of sight is refused in the same words."""
    site = uow.sites.find(principal.tenant, site_id.strip())
    if site is None or not principal.sees_region(site.region):
        raise NotFound(f"there is no site {site_id[:64]!r}; take one of the list")
    return site


def count_at_move(services: ApiServices, device: Device, told: int | None) -> int | None:
    """Return the counter that is told, else what the device said last; less than that is a slip of the pen."""
    reading = services.store.newest(device.tenant, device.device_id)
    known = reading.counters.billing_count if reading is not None else None
    if told is None:
        return known
    if known is not None and told < known:
        raise InvalidValue(f"count: the device said {known} already; look at its panel again")
    return told
