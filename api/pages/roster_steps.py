"""Steps of the roster that the team's page and the technician's own page share: absences, hours, and their words."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from api.access import Principal, services_of
from api.pages.common import failure_of
from api.pages.forms import checked, choice_of, day_of
from api.pages.supply_view import Words
from api.roster_lists import own_or_visible
from api.routes.roster import visible_absence
from api.services import ApiServices
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import TechnicianId
from crm_core.domain.roster import Absence, AbsenceKind
from crm_core.domain.service import Role, Technician


def note_absence(request: Request, principal: Principal, form: dict[str, str], technician_id: str) -> Absence:
    """Note the absence of a form; what technicians ask for waits for a dispatcher's word."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        own_or_visible(principal, uow, technician_id)
    starts, ends = _days(form, services)
    return services.fieldwork.roster.note_absence(
        principal.tenant,
        TechnicianId(technician_id),
        starts,
        ends,
        kind=choice_of(AbsenceKind, form.get("kind", ""), "kind"),
        note=form.get("note", "")[:200],
        actor=principal.name,
        asked=principal.role is Role.TECHNICIAN,
    )


def set_hours(request: Request, principal: Principal, form: dict[str, str], technician_id: str) -> Technician:
    """Set the hours of a form; an empty field is that of the firm."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        own_or_visible(principal, uow, technician_id)
    return services.fieldwork.roster.set_hours(
        principal.tenant,
        TechnicianId(technician_id),
        _minutes(form.get("starts", "")),
        _minutes(form.get("ends", "")),
    )


def take_absence_back(request: Request, principal: Principal, absence_id: int) -> Absence:
    """Note that somebody is there after all."""
    visible_absence(request, principal, absence_id)
    return services_of(request).fieldwork.roster.take_back(principal.tenant, absence_id)


def hours_in(words: Words) -> Callable[[int | None, int | None], str]:
    """Return a filter that words somebody's own hours; those of the firm by their name."""

    def worded(begin: int | None, end: int | None) -> str:
        if begin is None and end is None:
            return words.messages.text(words.language, "roster.usual_hours")
        return "–".join(clock_text(each) for each in (begin, end))

    return worded


def clock_text(minutes: int | None) -> str:
    """Return minutes after midnight as 08:30; nothing for None."""
    return "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(text: str) -> int | None:
    """Return the minutes after midnight of a time such as 08:30; None when nothing stands there."""
    if not text.strip():
        return None
    try:
        at = time.fromisoformat(text.strip()[:5])
    except ValueError:
        raise InvalidValue("hours: times such as 08:30") from None
    return 60 * at.hour + at.minute


def _days(form: dict[str, str], services: ApiServices) -> tuple[datetime, datetime]:
    """Return the instants of a first and a last day away; today begins now, so that what was done stays done."""
    zone = ZoneInfo(services.settings.time_zone)
    first, last = day_of(form.get("first", ""), "first"), day_of(form.get("last", ""), "last")
    starts = datetime.combine(first, time.min, zone).astimezone(UTC)
    ends = (datetime.combine(last, time.min, zone) + timedelta(days=1)).astimezone(UTC)
    return max(starts, services.clock.now()), ends


def changed(
    request: Request,
    principal: Principal,
    form: dict[str, str],
    change: Callable[[], object],
    show: Callable[..., Response],
) -> Response:
    """Make a change of the roster and `show` the page with the new plan, or with the reason of the refusal."""
    checked(form, principal)
    try:
        change()
    except (InvalidValue, Conflict) as error:
        failure, status = failure_of(request, principal, error)
        return show(request, principal, failure=f"{failure} {error}", status=status)
    return show(request, principal, planned=True)
