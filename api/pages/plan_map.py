"""The map of a day: sites and the route of each technician, drawn on the server as SVG. No tiles, nothing from elsewhere.

Places are projected around their middle (degrees of longitude shrink by the cosine of the latitude), so that distances
look right within a city region; a bar says how long a kilometre is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, radians
from typing import Final

from markupsafe import Markup, escape

from api.pages import charts
from crm_core.domain.fleet import Site

#: Colours of routes in the style sheet; people beyond them share.
ROUTES: Final = 6
_WIDTH: Final = 900.0
_HEIGHT: Final = 460.0
_EDGE: Final = 34.0
_FOOT: Final = 22.0  # pixels for the bar of kilometres
_KM_A_DEGREE: Final = 111.195  # of latitude, on a sphere of 6,371 km
_LEAST_KM: Final = 2.0  # a single place is not blown up beyond this
_BARS_KM: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the map; coordinates in degrees (WGS 84)."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStop:
    """One visit on a route: where, what for, and its page."""

    spot: Spot
    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRoute:
    """The visits of one technician in order; `tone` is 0 to `ROUTES` - 1, `kilometres` between the stops as the crow flies."""

    name: str
    tone: int
    stops: tuple[MapStop, ...]
    kilometres: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """Turns degrees into pixels."""

    west: float
    north: float
    across: float  # cosine of the middle latitude
    scale: float  # pixels a degree of latitude

    def at(self, spot: Spot) -> tuple[float, float]:
        """Return x and y."""
        return (
            _EDGE + (spot.longitude - self.west) * self.across * self.scale,
            _EDGE + (self.north - spot.latitude) * self.scale,
        )


def spot_of(site: Site | None) -> Spot | None:
    """Return where a site is, None where nobody wrote it down."""
    if site is None or site.latitude is None or site.longitude is None:
        return None
    return Spot(site.name, site.latitude, site.longitude)


def kilometres(stops: Sequence[MapStop]) -> float:
    """Return the way from the first stop to the last in straight lines."""
    return sum(_apart(one.spot, other.spot) for one, other in pairwise(stops))


def _apart(one: Spot, other: Spot) -> float:
    """Return kilometres on a flat map around both: right to a per mille within a city region."""
    east = (other.longitude - one.longitude) * cos(radians((one.latitude + other.latitude) / 2))
    return _KM_A_DEGREE * hypot(other.latitude - one.latitude, east)


def draw_map(sites: Sequence[Spot], routes: Sequence[MapRoute], title: str) -> Markup:
    """Return the map of the sites with the routes over them; nothing when no site has coordinates."""
    if not sites:
        return Markup("")
    frame, height = _frame(sites)
    dots = "".join(_dot(frame, site) for site in sites)
    lines = "".join(_line(frame, route) for route in routes)
    stops = "".join(_stops(frame, route) for route in routes)
    return charts.picture(
        "daymap", _WIDTH, height, title, dots + lines + stops + _bar(frame, height), linked=True
    )


def _frame(sites: Sequence[Spot]) -> tuple[_Frame, float]:
    """Return the frame that holds all sites, and the height of the picture in pixels."""
    latitudes = [site.latitude for site in sites]
    longitudes = [site.longitude for site in sites]
    middle = (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2
    across = max(cos(radians(middle[0])), 0.01)
    least = _LEAST_KM / _KM_A_DEGREE
    high = max(max(latitudes) - min(latitudes), least)
    wide = max((max(longitudes) - min(longitudes)) * across, least)
    scale = min((_WIDTH - 2 * _EDGE) / wide, (_HEIGHT - 2 * _EDGE) / high)
    height = 2 * _EDGE + _FOOT + high * scale
    west = middle[1] - (_WIDTH - 2 * _EDGE) / scale / across / 2
    return _Frame(west, middle[0] + high / 2, across, scale), height


def _dot(frame: _Frame, site: Spot) -> str:
    x, y = frame.at(site)
    return f'<circle class="site" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(site.name)}</title></circle>'


def _line(frame: _Frame, route: MapRoute) -> str:
    points = [frame.at(stop.spot) for stop in route.stops]
    if len(points) < 2:
        return ""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="route r{route.tone}" d="{path}"/>'


def _stops(frame: _Frame, route: MapRoute) -> str:
    """Return the numbered stops; several visits at one place share one mark that names them all."""
    places: dict[tuple[float, float], list[tuple[int, MapStop]]] = {}
    for number, stop in enumerate(route.stops, start=1):
        places.setdefault(frame.at(stop.spot), []).append((number, stop))
    return "".join(_mark(route, x, y, found) for (x, y), found in places.items())


def _mark(route: MapRoute, x: float, y: float, found: Sequence[tuple[int, MapStop]]) -> str:
    numbers = str(found[0][0]) if len(found) == 1 else f"{found[0][0]}–{found[-1][0]}"
    label = escape(f"{route.name}: " + "; ".join(f"{number}. {stop.label}" for number, stop in found))
    half = 12 + 5 * (len(numbers) - 1)
    return (
        f'<a href="{escape(found[0][1].href)}" aria-label="{label}"><title>{label}</title>'
        f'<rect class="stop r{route.tone}" x="{x - half:.1f}" y="{y - 12:.1f}" width="{2 * half}" height="24" rx="12"/>'
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}">{numbers}</text></a>'
        f'<text class="place" x="{x:.1f}" y="{y + 27:.1f}">{escape(found[0][1].spot.name)}</text>'
    )


def _bar(frame: _Frame, height: float) -> str:
    """Return a bar of a round number of kilometres, at most a quarter of the width."""
    pixels = frame.scale / _KM_A_DEGREE
    length = max((each for each in _BARS_KM if each * pixels <= _WIDTH / 4), default=_BARS_KM[0])
    x, y = _WIDTH - _EDGE / 2 - length * pixels, height - 12
    return (
        f'<path class="bar" d="M{x:.1f} {y - 4:.1f}v4h{length * pixels:.1f}v-4"/>'
        f'<text class="km" x="{x:.1f}" y="{y - 8:.1f}">{length} km</text>'
    )
