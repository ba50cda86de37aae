"""Creates, seeds or serves a Tryton database. Runs by the Python of trytond's own environment.

python tryton_inside.py create|seed|serve CONFIG DATABASE [MODULE...]
"""

import runpy
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

PASSWORD = "-password-123456"
"""The end of each password, after the user's login."""
USERS = {
    "gateway": ["Sales", "Stock"],
    "forcer": ["Sales", "Stock", "Stock Force Assignment"],
    "nobody": [],
    "office": None,
}
"""Each user's groups, None for all groups."""


def make_hashing_cheap():
    """Cheap hashing: by default, each request with a password takes a tenth of a second."""
    try:
        from pwdlib.hashers import argon2
    except ImportError:  # 7.0: its configuration says it
        return
    defaults = argon2.Argon2Hasher.__init__
    argon2.Argon2Hasher.__init__ = lambda self: defaults(self, time_cost=1, memory_cost=8, parallelism=1)


def make_writing_cheap():
    """Turn off syncing to disk, which only a power cut would need."""
    connect = sqlite3.connect

    def connect_unsynced(*args, **options):
        connection = connect(*args, **options)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    sqlite3.connect = connect_unsynced


def configure(path):
    try:
        from trytond import config

        config.update_etc(path)
    except AttributeError:  # 7.0
        from trytond.config import config

        config.update_etc(path)


def seed(path, database):
    configure(path)
    from proteus import Model
    from proteus import config as proteus

    proteus.set_trytond(database, config_file=path)
    from trytond.modules.company.tests.tools import create_company, get_company

    create_company()
    company = get_company()
    proteus.get_config()._context = Model.get("res.user").get_preferences(True, {})
    accounts = seed_accounts(company)
    seed_parties()
    seed_products(accounts)
    seed_warehouse()
    for login, groups in USERS.items():
        seed_user(login, groups, company.id)


def seed_accounts(company):
    from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
    from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences

    create_chart(company)
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company))
    year.click("create_period")
    return get_accounts(company)


def seed_parties():
    from proteus import Model
    from trytond.modules.account_invoice.tests.tools import create_payment_term

    term = create_payment_term()
    term.save()
    Party = Model.get("party.party")
    Party(name="Customer", customer_payment_term=term).save()
    Party(name="Printer", supplier_payment_term=term).save()


def seed_products(accounts):
    from proteus import Model

    category = Model.get("product.category")(name="Printed", accounting=True)
    category.account_expense, category.account_revenue = accounts["expense"], accounts["revenue"]
    category.save()
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    common = {"default_uom": unit, "salable": True, "list_price": Decimal(10), "account_category": category}

    def add(code, type="goods", **fields):
        template = Model.get("product.template")(name=code, type=type, **common, **fields)
        template.products[0].suffix_code = code
        template.save()
        return template

    # A consumable product can be assigned without stock.
    add("BOOK", consumable=True)
    add("POSTER", consumable=True)
    add("STOCKED")
    add("DESIGN", type="service")
    dropped = add("DROPPED", purchasable=True, supply_on_sale="always")
    (printer,) = Model.get("party.party").find([("name", "=", "Printer")])
    Model.get("purchase.product_supplier")(template=dropped, party=printer, drop_shipment=True).save()


def seed_warehouse():
    """Make a warehouse that ships from its storage location."""
    from proteus import Model

    Location = Model.get("stock.location")
    places = [Location(name=name, type="storage") for name in ("Direct storage", "Direct input")]
    for place in places:
        place.save()
    storage, input_ = places
    warehouse = Location(name="Direct", type="warehouse", input_location=input_)
    warehouse.storage_location = warehouse.output_location = storage
    warehouse.save()


def seed_user(login, groups, company):
    from proteus import Model

    Company, Application = Model.get("company.company"), Model.get("res.user.application")
    user = Model.get("res.user")(name=login, login=login, password=login + PASSWORD)
    user.companies.append(Company(company))
    user.company = Company(company)
    user.groups.extend(Model.get("res.group").find([] if groups is None else [("name", "in", groups)]))
    user.save()
    if "rest" in dict(Application._fields["application"]["selection"]):
        application = Application(user=user, application="rest", key=f"{login}-key")
        application.save()
        if application.state == "requested":
            application.click("validate_")


def create(path, database, *modules):
    dependencies = ["--activate-dependencies", "--email", "admin@example.com"]
    run("trytond-admin", "-c", path, "-d", database, "-u", *modules, *dependencies)


def serve(path, database):
    run("trytond", "-c", path, "-d", database)


def run(script, *words):
    """Run one of trytond's commands in this process."""
    sys.argv = [script, *words]
    runpy.run_path(str(Path(sys.executable).parent / script), run_name="__main__")


if __name__ == "__main__":
    task, *words = sys.argv[1:]
    make_hashing_cheap()
    make_writing_cheap()
    {"create": create, "seed": seed, "serve": serve}[task](*words)
