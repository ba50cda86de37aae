"""The check of an ERP's route names the option to look at. The check of Tryton's page is a real one."""

import pytest

from tests.support.stub import Fault
from tests.unit.plugins import odoo_case, tryton_case

pytestmark = pytest.mark.gen_test

MISTAKES = {
    "Odoo 17, key": (odoo_case.Case, 17, {"api_key": "other"}, "(options login and api_key)"),
    "Odoo 17, login": (odoo_case.Case, 17, {"login": "other"}, "(options login and api_key)"),
    "Odoo 17, database": (odoo_case.Case, 17, {"database": "other"}, "(option database)"),
    "Odoo 17, no login": (odoo_case.Case, 17, {"login": None}, "and Odoo 17 and 18 have nothing else"),
    "Odoo 17, JSON-2": (odoo_case.Case, 17, {"transport": "json2"}, "(options database and transport)"),
    "Odoo 19, key": (odoo_case.Case, 19, {"api_key": "other"}, "(option api_key)"),
    "Odoo 19, database": (odoo_case.Case, 19, {"database": "other"}, "(option database)"),
    "Odoo 19, JSON-RPC": (odoo_case.Case, 19, {"transport": "jsonrpc", "login": "x"}, "(options login and api_key)"),
    "Odoo 16": (odoo_case.Case, 16, {}, "Odoo 17 or later is needed; this is 16.0"),
    "Tryton 7.0, password": (tryton_case.Case, "7.0", {"password": "other"}, "(options user and password)"),
    "Tryton 7.0, database": (tryton_case.Case, "7.0", {"database": "other"}, "(option database)"),
    "Tryton 7.0, REST": (tryton_case.Case, "7.0", {"transport": "rest"}, "(options database and transport)"),
    "Tryton 8.0, key": (tryton_case.Case, "8.0", {"application_key": "other"}, "(option application_key)"),
    "Tryton 8.0, database": (tryton_case.Case, "8.0", {"database": "other"}, "(option database)"),
    "Tryton 8.0, no key": (tryton_case.Case, "8.0", {"application_key": None, "password": "x"}, "user and password)"),
}


@pytest.mark.parametrize(("case_class", "version", "options", "words"), MISTAKES.values(), ids=MISTAKES)
async def test_a_check_names_the_option_to_look_at(case_class, version, options, words):
    async with case_class(version, **options) as case:
        check = await case.sink.check()
        assert not check.ok
        assert check.details[-1].endswith(words)


@pytest.mark.parametrize("case_class", [odoo_case.Case, tryton_case.Case])
async def test_a_server_that_does_not_answer_may_be_another_one(case_class):
    async with case_class() as case:
        case.fake.always = Fault.CLOSE
        assert (await case.sink.check()).details[-1].endswith(" (option url)")
        case.fake.always = None
        assert (await case.sink.check()).ok
        # The second question, with the credentials, is lost on its way: no option is to blame.
        case.fake.cut_at(1)
        lost = (await case.sink.check()).details[-1]
        assert "the connection broke" in lost
        assert "option" not in lost


async def test_trytons_page_shows_a_healthy_check():
    async with tryton_case.Case() as case:
        check = await case.sink.check()
    lines = "".join(f"       {line}\n" for line in check.details)
    assert f"ok   bookshop/erp (tryton)\n{lines}" in tryton_case.PAGE
