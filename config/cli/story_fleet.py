"""A story's customers, sites and printers in the CRM, so that a running service polls them and accepts their readings."""

from config.wiring.core import Core
from crm_core.domain.fleet import Customer, Device, OwnerState, Site, SnmpAddress, Transport
from crm_core.domain.identity import CustomerId, DeviceId, ModelId, SiteId
from simulators.device import devices_of
from simulators.runner import LiveRun


def register_story(core: Core, run: LiveRun) -> int:
    """Register every place and printer of a started run, one customer a site; return how many printers.

    Doing it again changes nothing but the addresses.
    """
    for site in run.scenario.roster.sites:
        customer = CustomerId(f"story-{site.site_id}")
        core.registry.save_customer(
            Customer(
                tenant=core.tenant,
                customer_id=customer,
                name=f"Story: {site.site_id}",
                contact_name=site.site_id,
            )
        )
        core.registry.save_site(
            Site(
                tenant=core.tenant,
                site_id=SiteId(site.site_id),
                customer_id=customer,
                name=site.site_id,
                time_zone=core.settings.schedule.time_zone,
            )
        )
    return len(core.registry.register_all(_devices(core, run)))


def _devices(core: Core, run: LiveRun) -> list[Device]:
    pushing = set() if run.mqtt is None else {device.device_id for device in run.mqtt.devices}
    rows = []
    for number, device in enumerate(devices_of(run.fleet)):
        polled = device.device_id not in pushing and run.server is not None
        address = None
        if polled and run.server is not None:
            address = SnmpAddress(host=run.server.address_of(number), port=run.server.port)
        rows.append(
            Device(
                tenant=core.tenant,
                device_id=DeviceId(device.device_id),
                site_id=SiteId(device.site_id),
                customer_id=CustomerId(f"story-{device.site_id}"),
                model_id=ModelId(device.model.id) if core.catalogue.find(device.model.id) else None,
                vendor=device.model.vendor.title,
                model_name=device.model.name,
                serial=device.serial,
                owner_state=OwnerState.INSTALLED,
                transport=Transport.SNMP if polled else Transport.MQTT,
                snmp=address,
                registered_at=core.clock.now(),
            )
        )
    return rows
