"""Tables of strangers: encodings, hostile archives, and cells that a spreadsheet would run."""

import contextlib
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core.domain.errors import InvalidValue
from crm_core.exchange.sheets import MOST_BYTES, read_sheet, write_csv, write_xlsx

CELLS = st.text(
    alphabet=st.characters(exclude_categories=("C", "Z")) | st.sampled_from("=+-@ ,;'\"中文"), max_size=12
).map(str.strip)
ROWS = st.lists(st.tuples(CELLS, CELLS).filter(any), min_size=1, max_size=6)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_what_is_written_as_csv_is_read_again(rows):
    found = read_sheet(write_csv(["a", "b"], rows))
    expected = [
        tuple(c[1:] if c.startswith("'") and c[1:2] in set("=+-@") else c for c in row) for row in rows
    ]
    assert [tuple(row) for row in found.rows] == expected or [tuple(row) for row in found.rows] == list(rows)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_what_is_written_as_xlsx_is_read_again(rows):
    found = read_sheet(write_xlsx(["a", "b"], rows, "Test"))
    assert [tuple(cell.lstrip("'") for cell in row) for row in found.rows] == [
        tuple(cell.lstrip("'") for cell in row) for row in rows
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_chinese_files_are_read_in_every_usual_encoding(encoding):
    body = "客户编号,客户名称\r\nc-1,上海华东设计院有限公司\r\n".encode(encoding)
    assert read_sheet(body).as_dicts() == [{"客户编号": "c-1", "客户名称": "上海华东设计院有限公司"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_usual_delimiters(delimiter):
    body = f"a{delimiter}b\n1{delimiter}2\n".encode()
    assert read_sheet(body).rows == (("1", "2"),)


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "＝1"])
def test_no_cell_is_a_formula(cell):
    text = write_csv(["a"], [[cell]]).decode("utf-8-sig").splitlines()[1]
    assert text.lstrip('"').startswith("'")
    with zipfile.ZipFile(io.BytesIO(write_xlsx(["a"], [[cell]], "x"))) as archive:
        assert b"<f>" not in archive.read("xl/worksheets/sheet1.xml")


def bomb():
    """Return an archive of some kilobytes that would unpack to 300 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "x")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (201 * 1024 * 1024))
    return out.getvalue()


def archive_of(name, text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"  \r\n ", "empty"),
        (b"a,b\n1,2,3\n", "more cells"),
        (b"a,a\n1,2\n", "name of its own"),
        (b"a,\n1,2\n", "row 2 has more cells"),
        (b",b\n1,2\n", "name of its own"),
        (b"a\0b\n1", "neither CSV nor XLSX"),
        (b"\xd0\xcf\x11\xe0xls", "old .xls"),
        (b"\xff\xfe\x00", "neither UTF-8 nor GBK"),
        (b'a,b\n"open', "cannot be read"),
        (b"a\n" + b"x" * 5000 + b"\n", "more than 4000 characters"),
        (b"PK\x03\x04 torn", "damaged"),
        (b"x" * (MOST_BYTES + 1), "split it"),
        (b"a\n" + b"1\n" * 100_001, "more than 100000 rows"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(body, reason):
    with pytest.raises(InvalidValue, match=reason):
        read_sheet(body)


def test_archives_that_are_traps_are_refused():
    with pytest.raises(InvalidValue, match="would unpack to"):
        read_sheet(bomb())
    with pytest.raises(InvalidValue, match="no XLSX workbook"):
        read_sheet(archive_of("evil.txt", "x"))
    entity = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><workbook>&b;</workbook>'
    with pytest.raises(InvalidValue):
        read_sheet(archive_of("xl/workbook.xml", entity))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=300).map(lambda tail: b"PK\x03\x04" + tail))
def test_hostile_bytes_are_a_table_or_a_refusal(body):
    with contextlib.suppress(InvalidValue):
        assert read_sheet(body).columns
