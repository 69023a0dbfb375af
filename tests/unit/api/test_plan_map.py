"""The map of a day: distances keep their proportions, each visit is linked, and texts of customers stay texts."""

import re
from math import hypot

import pytest

from api.pages.plan_map import MapRoute, MapStop, Spot, draw_map, kilometres

PUDONG = Spot("Pudong", 31.2211, 121.5441)
SUZHOU = Spot("Suzhou", 31.2989, 120.5853)
KUNSHAN = Spot("Kunshan", 31.3850, 120.9500)


def a_route(*spots, name="Li", tone=0):
    stops = tuple(
        MapStop(spot=spot, label=f"visit {number}", href=f"/work-orders/{number}")
        for number, spot in enumerate(spots, start=1)
    )
    return MapRoute(name=name, tone=tone, stops=stops, kilometres=kilometres(stops))


def marks(svg):
    found = re.findall(r'<rect class="stop[^"]*" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg)
    return [(float(x) + float(width) / 2, float(y) + 12) for x, y, width in found]


def test_the_way_is_that_of_the_great_circle():
    """Oracle: the spherical distance of Pudong and Suzhou by the haversine formula, 91.5 km."""
    assert a_route(PUDONG, SUZHOU).kilometres == pytest.approx(91.5, abs=0.2)
    assert a_route(PUDONG, SUZHOU, PUDONG).kilometres == pytest.approx(183.1, abs=0.4)
    assert a_route(PUDONG).kilometres == 0


def test_pixels_keep_the_proportions_of_kilometres():
    places = [PUDONG, SUZHOU, KUNSHAN]
    (one, two, three) = marks(str(draw_map(places, [a_route(*places)], "map")))
    pixels = [hypot(one[0] - two[0], one[1] - two[1]), hypot(two[0] - three[0], two[1] - three[1])]
    ways = [a_route(PUDONG, SUZHOU).kilometres, a_route(SUZHOU, KUNSHAN).kilometres]
    assert pixels[0] / pixels[1] == pytest.approx(ways[0] / ways[1], rel=0.01)
    assert one[0] > three[0] > two[0]  # east is to the right
    assert three[1] < two[1] < one[1]  # north is up


def test_everything_lies_inside_and_a_single_place_is_drawn():
    for places in ([PUDONG], [PUDONG, SUZHOU], [PUDONG, Spot("far", -33.9, 18.4)]):
        svg = str(draw_map(places, [a_route(*places)], "map"))
        width, height = (float(each) for each in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
        assert all(0 <= x <= width and 0 <= y <= height for x, y in marks(svg))
        assert "km</text>" in svg


def test_visits_of_one_place_share_a_mark_and_names_are_never_markup():
    evil = Spot("<script>alert(1)</script>", 31.2, 121.5)
    svg = str(draw_map([evil], [a_route(evil, evil, name='"><b>')], "<i>"))
    assert len(marks(svg)) == 1
    assert ">1–2</text>" in svg
    assert not re.search(r"<(script|b|i)>", svg)


def test_no_place_no_map():
    assert draw_map([], [a_route()], "map") == ""
