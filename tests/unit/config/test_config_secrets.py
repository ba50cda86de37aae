"""Secrets anywhere in a configuration appear in no error or repr, and the log's redactor masks each of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.validation import without_values
from gateway.errors import ConfigError
from gateway.keys import hash_key
from tests.unit.config.folder import Folder

GOOD = """\
server: {listen: !env LISTEN}
store: {url: "postgresql://me:p%40ss-word@db/gateway"}
log: {level: !env LEVEL}
plugins: [chat, erp, table]
accounts:
  shop:
    keys: [plain-key-of-a-shop, !env ENV_KEY, {key: !file key.txt, label: filed}, {sha256: "@DIGEST@"}]
    routes:
      alerts: {sink: chat, options: {webhook_url: "https://chat.example.com/hook-secret"}}
      erp: {sink: erp, options: {url: !env ERP_URL, login: {user: me, password: pass-option}}}
      export: {sink: table, options: {directory: exports}}
""".replace("@DIGEST@", "5e" * 32)
FILES = {"key.txt": "filed-key-of-a-shop\n"}
ENV = {
    "LISTEN": "127.0.0.1:1",
    "LEVEL": "info",
    "ENV_KEY": "env-key-of-a-shop",
    "ERP_URL": "https://erp.example.com/env-secret",
}
SECRETS = {
    "plain-key-of-a-shop",
    "env-key-of-a-shop",
    "filed-key-of-a-shop",
    "https://chat.example.com/hook-secret",
    "https://erp.example.com/env-secret",
    "pass-option",
    "p%40ss-word",
    "p@ss-word",
}


def test_the_redactor_is_told_each_secret_and_no_plain_word(folder: Folder) -> None:
    assert folder.load(GOOD, FILES, ENV).secrets == SECRETS


def test_a_store_password_is_secret_wherever_it_stands(folder: Folder) -> None:
    text = "store: {url: 'postgresql://me@a,b/x?password=query-word', password: !env WORD}\n"
    text += "accounts: {a: {keys: [{sha256: '@'}]}}\n".replace("@", "00" * 32)
    config = folder.load(text, env={"WORD": "env-word"})
    assert config.secrets == {"query-word", "env-word"}
    assert config.store.password == "env-word"
    for secret in config.secrets:
        assert secret not in repr(config)
        assert secret not in repr(config.store)


def test_a_store_url_from_a_variable_is_secret_as_a_whole(folder: Folder) -> None:
    text = "store: {url: !env URL}\naccounts: {a: {keys: [{sha256: '@'}]}}\n".replace("@", "00" * 32)
    assert folder.load(text, env={"URL": "postgresql://me:word@db/x"}).secrets == {"postgresql://me:word@db/x", "word"}


def test_no_repr_shows_a_secret(folder: Folder) -> None:
    config = folder.load(GOOD, FILES, ENV)
    shown = repr(config)
    for secret in SECRETS:
        assert secret not in shown
    accounts = repr(dict(config.accounts))
    for secret in SECRETS - {"https://erp.example.com/env-secret"}:  # an option that its sink does not call secret
        assert secret not in accounts
    for key in ("plain-key-of-a-shop", "env-key-of-a-shop", "filed-key-of-a-shop"):
        assert hash_key(key).hex() not in shown + accounts
        assert repr(hash_key(key)) not in shown + accounts
    assert "5e5e" not in shown + accounts


HUNTER = "hunter2-4f1c9ab2"
WRONG = [
    "server: {listen: {}}",
    "server: {tls: {certificate: {}, private_key: {}}}",
    "server: {trusted_proxies: [{}]}",
    "store: {url: {}}",
    "store: {url: '{}://me@db'}",
    "store: {retention: {}}",
    "log: {level: {}, format: {}}",
    "plugins: [{}]",
    "plugins: {}",
    "include: [{}.yaml]",
    "tenant: {}!",
    "admin: {}",
    "accounts: {}",
    "accounts: {a: {}}",
    "accounts: {a: {keys: [[{}]]}}",
    "accounts: {a: {keys: [' {}']}}",
    "accounts: {a: {keys: [{sha256: {}}]}}",
    "accounts: {a: {keys: [{{}}]}}",
    "accounts: {a: {keys: [{{}: x}]}}",
    "accounts: {a: {keys: {{}}}}",
    "accounts: {a: {keys: [{key: {}, expires: {}, label: [{}]}]}}",
    "accounts: {a: {keys: [{key: {}, sha256: {}}]}}",
    "accounts: {a: {keys: [key-of-the-shop-x], {}: y}}",
    "accounts: {a: {keys: [key-of-the-shop-x], rate: {}, unknown_types: {}, unknown_orders: {}}}",
    "accounts: {a: {keys: [*{}]}}",
    "accounts: {a: {keys: [!{}]}}",
    "accounts: {a: {keys: [!{} x]}}",
    "accounts: {a: {keys: [!env '{} ']}}",
    "accounts: {a: {keys: ['{}]}}",
    "routes: {a: {sink: {}}}",
    "routes: {a: {sink: leaky, options: {token: {}}}}",
    "routes: {a: {sink: leaky, options: {token: [1, {x: {}}]}}}",
    "routes: {a: {sink: leaky, options: {inner: {token: {}}}}}",
    "routes: {a: {sink: leaky, options: {token: !env SECRET}}}",
    "routes: {a: {sink: leaky, options: {token: ['a {} b', '{}']}}}",
    "routes: {a: {sink: leaky, options: {size: {}}}}",
    "routes: {a: {sink: leaky, options: {{}}}}",
    "routes: {a: {sink: leaky, options: {https://{}: x}}}",
    "routes: {a: {sink: leaky, options: {}}}",
    "routes: {a: {sink: chat, options: {webhook_url: {}}}}",
    "routes: {a: {sink: chat, options: {webhook_url: !env SECRET}}}",
    "routes: {a: {sink: chat, options: {webhook_url: !file secret.txt}}}",
    "routes: {a: {sink: table, options: {directory: x, separator: {}}}}",
    "routes: {a: {sink: erp, options: {url: {}, login: {user: [{}], password: [{}]}, lines: [{}]}}}",
    "routes: {a: {sink: table, signals: [{}], concurrency: {}, rate: {}, order: {}, retry: {first: {}}, enabled: {}}}",
]


@pytest.mark.parametrize("text", WRONG)
def test_no_error_shows_a_value(folder: Folder, text: str) -> None:
    plugins = "" if text.startswith("plugins") else "plugins: [chat, erp, leaky, table]\n"
    accounts = "" if text.startswith("accounts") else "accounts: {shop: {keys: [key-of-the-shop-k]}}\n"
    main = plugins + accounts + text.replace("{}", HUNTER) + "\n"
    errors = folder.errors(main, {"secret.txt": f"{HUNTER}\n"}, {"SECRET": HUNTER})
    assert errors
    assert HUNTER not in "\n".join(errors)
    assert all(re.match(r"gateway\.yaml:\d+: ", error) for error in errors)


def test_a_value_in_a_plugins_message_is_taken_out(folder: Folder) -> None:
    text = "plugins: [leaky]\naccounts: {a: {keys: [key-of-the-shop-k]}}\n"
    text += "routes: {x: {sink: leaky, options: {token: its-token}}}\n"
    assert folder.errors(text) == [
        "gateway.yaml:3: routes.x.options.token: what is '***' doing here, ***?",
    ]


@pytest.mark.parametrize(
    ("message", "values", "secrets", "result"),
    [
        ("expected one of auto, json2", ["json"], [], "expected one of auto, json2"),
        ("expected json2, not json", ["json"], [], "expected json2, not ***"),
        ("got 12345678", [12345678], [], "got ***"),
        ("at least 10", [10], [], "at least 10"),
        ("'two\\nlines'", ["two\nlines"], [], "'***'"),
        ("prefixSECRETsuffix", [], ["SECRET"], "prefix***suffix"),
        ("'a\\nb'", [], ["a\nb"], "'***'"),
        ("a message", [], ["a", ""], "a message"),
        ("", ["x"], ["y"], ""),
    ],
)
def test_values_are_masked_in_messages(message: str, values: list[object], secrets: list[str], result: str) -> None:
    assert without_values(message, values, secrets) == result


PLACES = [text for text in WRONG if not any(mark in text for mark in ("*{}", "!{}", "!env", "!file"))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(secret=st.from_regex(r"[a-z]{2}[0-9]{2}[a-zA-Z0-9_-]{6,28}", fullmatch=True), place=st.sampled_from(PLACES))
def test_no_secret_is_shown_wherever_it_stands(folder: Folder, secret: str, place: str) -> None:
    main = "" if place.startswith("plugins") else "plugins: [chat, erp, leaky, table]\n"
    main += "" if place.startswith("accounts") else "accounts: {shop: {keys: [key-of-the-shop-k]}}\n"
    try:
        shown = repr(folder.load(main + place.replace("{}", secret)))
    except ConfigError as error:
        shown = repr(error) + str(error)
    assert secret not in shown
