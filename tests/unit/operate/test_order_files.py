"""Orders are read from CSV and JSON lines, and a fault is told with its line."""

import io

import pytest

from gateway.errors import GatewayError
from gateway.operate.order_files import read_orders

GOOD = {
    "one column": ("PO-1\nPO-2\n", ["PO-1", "PO-2"]),
    "empty lines and spaces": ("\n  PO-1 \n\n PO-2", ["PO-1", "PO-2"]),
    "one column with a header": ("order_reference\nPO-1\n", ["PO-1"]),
    "repeated": ("PO-1\nPO-2\nPO-1\n", ["PO-1", "PO-2"]),
    "columns": ("id,reference,customer\n1,PO-1,Ada\n2,PO-2,Brian\n", ["PO-1", "PO-2"]),
    "the reference before the order": ("order,order_reference\n7,PO-7\n", ["PO-7"]),
    "semicolons": ("Reference;Note\nPO-1;a, b\n", ["PO-1"]),
    "tabs": ("note\treference\nx\tPO-1\n", ["PO-1"]),
    "quoted": ('reference,note\n"PO ""1"", a","two\nlines"\nPO-2,\n', ['PO "1", a', "PO-2"]),
    "empty cells": ("reference,note\n,no reference\nPO-1,x\n", ["PO-1"]),
    "JSON": ('{"order_reference": "PO-1", "note": 1}\n\n{"order": 7}\n{"order": 8.0}\n', ["PO-1", "7", "8"]),
    "JSON without a value": ('{"order": null}\n{"order": "PO-1"}', ["PO-1"]),
    "large numbers": ('{"order": 9400111899223197428490}', ["9400111899223197428490"]),
}
BAD = {
    "empty": ("", "f: the file names no order"),
    "header only": ("reference,note\n", "f: the file names no order"),
    "unknown columns": ("id,name\n1,Ada\n", "f: which column names the order? It has id, name; choose one by --column"),
    "a short row": ("note,reference\nx,PO-1\nx\n", "f:3: the row has no column reference"),
    "a long row": ("PO-1\nPO-2,x\n", "f:2: the first line has one column, but this one has 2"),
    "an open quote": ('reference,note\n"PO-1,x\n', "f: unexpected end of data"),
    "NUL": ("PO-1\nPO\0-2\n", "f:2: an order's name contains a NUL character"),
    "no object": ('{"order": "PO-1"}\n["PO-2"]\n', "f:2: expected a JSON object"),
    "no JSON": ('{"order": "PO-1"}\n\n{"order"}\n', "f:3: expected a JSON object: "),
    "no field": ('{"id": 1}\n', "f:1: the object has no field order_reference, reference, order or order_id"),
    "no order": ('{"order": ["PO-1"]}\n', """f:1: expected an order's id or reference, not ["PO-1"]"""),
    "a decimal": ('{"order": 7.5}\n', "f:1: expected an order's id or reference, not 7.5"),
}


def read(text: str, column: str | None = None) -> list[str]:
    return read_orders(io.StringIO(text), "f", column)


@pytest.mark.parametrize("case", GOOD)
def test_orders_are_read(case: str) -> None:
    text, orders = GOOD[case]
    assert read(text) == orders


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_told_with_its_line(case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(GatewayError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["id,Our ref\n1,PO-1\n", '{"id": 1, "Our ref": "PO-1"}\n'])
def test_the_column_can_be_named(text: str) -> None:
    assert read(text, "Our ref") == ["PO-1"]


def test_a_misspelt_column_is_told() -> None:
    with pytest.raises(GatewayError, match="no column 'our reff'; did you mean 'Our ref'"):
        read("id,Our ref\n1,PO-1\n", "our reff")


def test_another_encoding_is_told() -> None:
    file = io.TextIOWrapper(io.BytesIO("BÜRO-1\n".encode("latin-1")), "utf-8-sig")
    with pytest.raises(GatewayError, match="f: the file is not UTF-8 text"):
        read_orders(file, "f")


def test_a_byte_order_mark_is_left_out() -> None:
    file = io.TextIOWrapper(io.BytesIO("reference\nPO-1\n".encode("utf-8-sig")), "utf-8-sig")
    assert read_orders(file, "f") == ["PO-1"]
