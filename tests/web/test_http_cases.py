"""The public listener answers each case of tests/web/http_cases.py as the RFCs want, and never falls silent."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.wire import Connect, Wire, head
from tests.web.http_cases import CASES, CUT, Case


async def final_code(connection: Wire, method: bytes) -> int:
    """Return the next code that is no interim answer, CUT if the connection was closed instead."""
    while True:
        try:
            code = await connection.code(has_body=method != b"HEAD")
        except (ConnectionError, asyncio.IncompleteReadError):
            return CUT
        if code != 100:
            return code


async def is_closed(connection: Wire) -> bool:
    try:
        return await connection.closed()
    except ConnectionError:
        return True


@pytest.mark.gen_test
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_case_is_answered_as_the_rfcs_want(wire: Connect, case: Case) -> None:
    async with wire() as connection:
        try:
            await connection.write(case.sent)
        except ConnectionError:
            assert case.codes == (CUT,)
            return
        method = case.sent.partition(b" ")[0]
        assert [await final_code(connection, method) for _ in case.codes] == list(case.codes)
        if case.stays:
            await connection.write(head(method="GET", path="/healthz"))
            assert await connection.code() == 200
        else:
            if case.codes[-1] == 413:  # the rest of the body is read, so that the answer arrives
                connection.writer.write_eof()
            assert await is_closed(connection)


def test_the_table_has_each_kind_often() -> None:
    assert len(CASES) > 300
