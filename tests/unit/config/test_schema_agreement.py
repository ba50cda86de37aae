"""The JSON Schema of the files, by check-jsonschema, against `cloudsignal check`: on config/ and on mutated files."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.cli.main_command import main as check_jsonschema
from click.testing import CliRunner

from gateway.config import load_checked, write_starter
from gateway.config.file_schema import MAIN_FILE, TENANT_FILE, dump_schema, file_schemas
from gateway.errors import ConfigError
from gateway.sink.registry import installed_plugins, load_plugins

CONFIG = Path(__file__).parents[3] / "config"
Place = tuple[str | int, ...]
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MAIN: dict[str, Any] = {
    "server": {
        "listen": ["127.0.0.1:8080", "unix:/run/gateway.sock"],
        "public_url": "https://hooks.example.com",
        "socket_mode": "0660",
        "trusted_proxies": ["10.0.0.0/8"],
        "forwarded_header": "forwarded",
        "max_body": 65536,
        "idle_timeout": "75s",
        "grace": 10,
    },
    "admin": {
        "listen": "127.0.0.1:8081",
        "tokens": [{"name": "oncall", "sha256": DIGEST, "role": "operator"}],
        "proxy_auth": {
            "header": "x-forwarded-user",
            "trusted": ["127.0.0.1"],
            "users": [{"name": "ann", "role": "operator"}],
        },
    },
    "store": {"url": "sqlite:///gateway.db", "pooler": False, "retention": "90d", "queue": 100},
    "log": {"format": "json", "level": "info"},
    "plugins": ["csv", "slack", "odoo", "tryton", "webhook", "apprise"],
    "tenant": "acme",
    "routes": {"export": {"sink": "csv", "options": {"directory": "exports"}}},
    "watches": {"quiet": {"silent_for": "3d"}},
    "accounts": {
        "shop": {
            "keys": ["a-key-of-the-shop", {"sha256": DIGEST, "label": "new", "expires": "2037-01-31T00:00:00Z"}],
            "rate": 50,
            "unknown_types": "reject",
            "unknown_orders": "hold",
            "incomplete": "accept",
            "watches": {
                "quiet": {"enabled": False},
                "late": {"after": "ItemProduced", "expect": "ItemShipped", "within": "72h"},
            },
            "routes": {
                "export": {"enabled": False},
                "files": {
                    "sink": "csv",
                    "signals": ["ItemShipped", "*"],
                    "enabled": True,
                    "concurrency": 1,
                    "rate": 2.5,
                    "order": "lane",
                    "retry": {"first": "5s", "factor": 2, "cap": "1h", "give_up_after": "7d"},
                    "options": {
                        "directory": "exports",
                        "filename": "{account}.csv",
                        "rotate": ["daily", "10MB"],
                        "gzip": True,
                        "columns": ["order", {"type": "Type"}],
                        "delimiter": "tab",
                        "encoding": "utf-8-sig",
                        "timezone": "Europe/Berlin",
                        "text_columns": ["order"],
                    },
                },
                "chat": {
                    "sink": "slack",
                    "options": {
                        "token": "xoxb-1-a",
                        "channel": "C012ABCDE",
                        "channels": {"ItemError": "errors"},
                        "mention": {"error": ["here"], "other": "U012ABCDE"},
                        "digest": 20,
                        "console_url": "https://gateway.example.com",
                        "api_url": "https://slack.example.com/api",
                        "proxy": False,
                    },
                },
                "erp": {
                    "sink": "odoo",
                    "options": {
                        "url": "https://odoo.example.com",
                        "database": "shop",
                        "api_key": "secret",
                        "transport": "json2",
                        "order_match": ["name"],
                        "activity_user": 7,
                        "notes": ["ItemValidated"],
                        "unknown_order_retry_for": "48h",
                    },
                },
                "sale": {
                    "sink": "tryton",
                    "options": {
                        "url": "https://tryton.example.com",
                        "database": "shop",
                        "user": "gateway",
                        "password": "secret",
                        "line_match": "code",
                    },
                },
                "hook": {
                    "sink": "webhook",
                    "options": {
                        "url": "https://example.com/hook",
                        "secrets": ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"],
                        "allow_private": ["10.1.0.0/16"],
                    },
                },
                "mail": {"sink": "apprise", "options": {"urls": ["json://example.com"], "title": "{type}"}},
            },
        }
    },
}
WRONG: list[Any] = [None, True, 7, -1, "", "Nonsense value?", [], {}, ["x y?"], {"x": 1}]
"""Values that replace each value of MAIN in turn."""
DIFFER = {
    r"not enabled: add": "the schema does not compare `plugins` with the routes, which another file may have",
    r"no (route|watch) of this name to switch off": "nor an account's routes with its tenant's",
    r"there are no accounts": "accounts may be in other files",
    r"gzip needs rotate|not among the columns|either webhook_url or token|required with token"
    r"|expected within|silent_for$|comes before|of the whole order": ("nor options with each other"),
    r"a bot's token|an API key|a secret: whsec_|a URL(, such|$| that Apprise)|https URL": (
        "the form of a secret is not told, because `!env NAME` or `!file PATH` stands there"
    ),
    r"a time zone such as": "nor the names of time zones",
    r"shorter than 16|two keys of the account|this key is also": "nor anything about keys but their characters",
}
"""Messages of the check that the schema need not know, and why."""


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of each value at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*place, key)
        yield from places(inner, (*place, key))


def changed(place: Place, change: Any) -> dict[str, Any]:
    """Return MAIN with a change of the value at a place: `change` gets what is around it, and the last step."""
    data = deepcopy(MAIN)
    around: Any = data
    for step in place[:-1]:
        around = around[step]
    change(around, place[-1])
    return data


def misspell(around: Any, step: Any) -> None:
    around[f"{step}x"] = around.pop(step)


def mutations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield configurations with one change each, and the name of the change."""
    for place in places(MAIN):
        name = ".".join(map(str, place))
        yield f"{name} left out", changed(place, lambda around, step: around.pop(step))
        if isinstance(place[-1], str):
            yield f"{name} misspelt", changed(place, misspell)
        for wrong in WRONG:
            yield f"{name} = {json.dumps(wrong)}", changed(place, partial(replace, wrong))


def replace(wrong: Any, around: Any, step: Any) -> None:
    around[step] = wrong


def complaints(schema: str, files: list[Path], folder: Path) -> set[str]:
    """Return the names of the files of which check-jsonschema complains."""
    known = installed_plugins()
    target = folder / schema
    target.write_text(dump_schema(file_schemas(known, load_plugins(known))[schema]))
    result = CliRunner().invoke(check_jsonschema, ["-o", "json", "--schemafile", str(target), *map(str, files)])
    found: Mapping[str, Any] = json.loads(result.stdout)
    return {Path(each["filename"]).name for each in [*found.get("errors", ()), *found.get("parse_errors", ())]}


def messages(path: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return what the check says against a configuration."""
    try:
        load_checked(path, environ or {})
    except ConfigError as error:
        return [problem.message for problem in error.problems]
    return []


def write_all(folder: Path, configs: Mapping[str, Any]) -> dict[Path, str]:
    """Write configurations as JSON, which is YAML, and return their names by path."""
    paths = {folder / f"{number}.yaml": name for number, name in enumerate(configs)}
    for path, name in paths.items():
        path.write_text(json.dumps(configs[name]))
    return paths


def test_the_schema_agrees_with_the_check_on_a_hundred_mutations(tmp_path: Path) -> None:
    mutated = random.Random(12).sample([*mutations()], 100)
    paths = write_all(tmp_path, {"unchanged": MAIN, **dict(mutated)})
    refused = complaints(MAIN_FILE, [*paths], tmp_path)
    for path, name in paths.items():
        found = messages(path)
        if path.name in refused:
            assert found, f"only the schema refuses: {name}"
        else:
            assert [text for text in found if not any(re.search(known, text) for known in DIFFER)] == [], name
    assert 40 < len(refused) < 100


def test_tenants_files_agree(tmp_path: Path) -> None:
    tenant = {name: MAIN[name] for name in ("tenant", "routes", "watches", "accounts")}
    wrong = {
        "server": {**tenant, "server": {}},
        "no tenant": {name: value for name, value in tenant.items() if name != "tenant"},
        "a bad name": {**tenant, "tenant": "A B"},
        "a bad account": {**tenant, "accounts": {"a b": MAIN["accounts"]["shop"]}},
        "null": None,
    }
    paths = write_all(tmp_path, {"right": tenant, **wrong})
    main = tmp_path / "main.yaml"
    for path, name in paths.items():
        main.write_text(json.dumps({"plugins": MAIN["plugins"], "include": [path.name]}))
        assert bool(messages(main)) == (name != "right"), name
    assert {paths[tmp_path / name] for name in complaints(TENANT_FILE, [*paths], tmp_path)} == set(wrong)


def test_the_annotated_configuration_and_the_starter_agree(tmp_path: Path) -> None:
    starter = write_starter(tmp_path / "starter").files
    assert complaints(MAIN_FILE, [CONFIG / "gateway.yaml", starter[0]], tmp_path) == set()
    assert complaints(TENANT_FILE, [*(CONFIG / "tenants").glob("*.yaml"), starter[1]], tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "environ", "why"),
    [
        ("server: {grace: !env GRACE}", {"GRACE": "5s"}, "check-jsonschema does not know the tags"),
        ("store: {pooler: 'true'}", {}, "text in the place of a switch is for !env, and seldom meant"),
    ],
)
def test_the_schema_is_stricter_in_two_cases(tmp_path: Path, text: str, environ: dict[str, str], why: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{text}\naccounts: {{shop: {{keys: [a-key-of-the-shop]}}}}\n")
    assert messages(path, environ) == []
    assert complaints(MAIN_FILE, [path], tmp_path) == {path.name}, why
