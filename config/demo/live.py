"""The demonstration goes on: the whole product runs, and the simulated printers with it, half polled, half pushing.

Whoever closes a work order in the browser has been at the machine: its next reading shows it, and the ticket closes.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from config.demo.firm import DemoNote, Firm, build_firm, move_snmp_port, read_note
from config.demo.hands import Hands, helps_for
from config.demo.world import FIRST_ADDRESS
from config.settings import Settings
from config.supervision import Lifecycle, NamedPart
from config.wiring.collector_process import TIMERS
from config.wiring.process import Process, Shape, build_process
from crm_core.domain.errors import NotFound
from crm_core.domain.service import WorkOrderState
from crm_core.ports import Clock, WorkOrderFilter
from simulators.device import SimulatedDevice
from simulators.mqtt_agent import MqttPlace
from simulators.mqtt_fleet import MqttFleet
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents

AHEAD: Final = timedelta(minutes=10)  # days are simulated before they begin, by one thread alone
HANDS_SECONDS: Final = 2.0
NEWEST_ORDERS: Final = 200


@dataclass(slots=True)
class LiveDemo:
    """The running product with its simulated fleet."""

    process: Process
    firm: Firm
    devices: tuple[SimulatedDevice, ...]
    hands: Hands
    clock: Clock
    snmp: SnmpFleetServer
    since: datetime
    mqtt: MqttFleet | None = None
    _helped: set[int] = field(default_factory=set)

    def push(self) -> None:
        """Let every second printer send a reading, and keep the simulated days ahead of time."""
        now = self.clock.now()
        self.devices[0].fleet.advance_to(now + AHEAD)
        if self.mqtt is not None:
            self.mqtt.push(now)

    def help(self) -> None:
        """Do at the machines what people closed in the browser since the start."""
        core = self.process.core
        done = frozenset({WorkOrderState.DONE})
        with core.uow_factory() as uow:
            orders = uow.work_orders.list(core.tenant, WorkOrderFilter(states=done, limit=NEWEST_ORDERS))
            fresh = [
                (order, [uow.tickets.get(core.tenant, ticket_id) for ticket_id in order.ticket_ids])
                for order in orders
                if order.done_at is not None
                and order.done_at >= self.since
                and order.work_order_id not in self._helped
            ]
        for order, tickets in fresh:
            self._helped.add(order.work_order_id)
            for one in helps_for(tickets, self.clock.now()):
                self.hands.do(one)


def build_live(settings: Settings, clock: Clock) -> LiveDemo:
    """Put the running demonstration together over the history in the data folder; raises `NotFound` without one."""
    folder = settings.general.folder
    note = read_note(folder)
    if note is None:
        raise NotFound(f"{folder} holds no demonstration")
    note = replace(note, runs=note.runs + 1)
    hint = tuple((name, password) for name, password in note.passwords.items())
    process = build_process(settings, clock, Shape.ALL, sign_in_hint=hint)
    firm = build_firm(process.core, note)
    devices = firm.staged.devices()
    hands = Hands({device.device_id: device for device in devices}, firm.staged.journal)
    hands.repeat()
    devices[0].fleet.advance_to(clock.now() + AHEAD)
    agents = fleet_agents(devices[0].fleet, clock.now())[::2]
    snmp = SnmpFleetServer(agents, clock, first_address=FIRST_ADDRESS)
    live = LiveDemo(process, firm, devices, hands, clock, snmp, since=clock.now())
    process.life = Lifecycle(_around(live, note, process.life.parts))
    interval = settings.snmp.poll_interval_seconds
    process.supervisor.every("demo-push", interval, live.push, first_after=1.0)
    process.supervisor.every("demo-hands", HANDS_SECONDS, live.help)
    return live


def _around(live: LiveDemo, note: DemoNote, parts: tuple[NamedPart, ...]) -> list[NamedPart]:
    """Return the parts of the process with the simulated fleet started before its timers."""
    core = live.process.core

    def start_snmp() -> None:
        live.snmp.start()
        move_snmp_port(core, live.snmp.port)
        note.write(core.settings.general.folder)

    def start_mqtt() -> None:
        mqtt = core.settings.mqtt
        port = mqtt.port if live.process.broker is None else live.process.broker.port
        place = MqttPlace(
            host=mqtt.host,
            port=port,
            username=mqtt.username or None,
            password=mqtt.password or None,
            tenant=core.tenant,
            client_prefix="demo",
        )
        live.mqtt = MqttFleet(live.devices[1::2], place, boot=note.runs)
        live.mqtt.start()

    def stop_mqtt() -> None:
        if live.mqtt is not None:
            live.mqtt.stop()

    fleet = [
        NamedPart("simulated SNMP fleet", start_snmp, live.snmp.stop),
        NamedPart("simulated MQTT fleet", start_mqtt, stop_mqtt),
    ]
    before = [part for part in parts if part.name != TIMERS]
    return [*before, *fleet, *(part for part in parts if part.name == TIMERS)]
