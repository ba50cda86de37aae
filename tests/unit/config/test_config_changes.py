"""Changes by a reload: routes to start and stop, and settings that need a restart."""

import pytest

from gateway.config import Config, changed_routes, needs_restart
from tests.unit.config.folder import Folder

MAIN = """\
server: {listen: 127.0.0.1:8080, max_body: 65536, tls: {certificate: c.pem, private_key: k.pem}}
admin: {listen: 127.0.0.1:8081}
store: {url: sqlite:///a.db, retention: 90d}
log: {level: info}
plugins: [table, chat]
routes:
  table: {sink: table, options: {directory: x}}
  chat: {sink: chat, signals: [ItemError], options: {webhook_url: !env HOOK}}
accounts:
  shop: {keys: [a-key-of-the-shop]}
  other: {keys: [b-key-of-the-shop], routes: {chat: {enabled: false}}}
"""


def load(folder: Folder, text: str = MAIN, hook: str = "https://chat.example/a") -> Config:
    return folder.load(text, {"c.pem": "c", "k.pem": "k", "c2.pem": "c"}, {"HOOK": hook})


@pytest.mark.parametrize(
    ("old", "new", "settings"),
    [
        ("127.0.0.1:8080", "127.0.0.1:9090", ["server.listen"]),
        (", tls: {certificate: c.pem, private_key: k.pem}", "", ["server.tls"]),
        ("admin: {listen: 127.0.0.1:8081}", "", ["admin"]),
        ("a.db", "b.db", ["store.url"]),
        ("retention: 90d", "queue: 5", ["store.queue"]),
        ("level: info", "level: debug", ["log"]),
        ("65536", "65535", []),
        ("c.pem", "c2.pem", []),
        ("90d", "30d", []),
        ("a-key-of-the-shop", "c-key-of-the-shop", []),
        ("shop: {keys: [a-key-of-the-shop]}", "shop: {keys: [a-key-of-the-shop], rate: 5}", []),
    ],
)
def test_listeners_store_and_log_take_a_restart(folder: Folder, old: str, new: str, settings: list[str]) -> None:
    assert needs_restart(load(folder), load(folder, MAIN.replace(old, new))) == settings


def test_an_unchanged_route_is_not_restarted(folder: Folder) -> None:
    assert changed_routes(load(folder), load(folder)) == ([], [])
    assert changed_routes(load(folder), load(folder, MAIN.replace("a-key-of-the-shop", "c-key-of-the-shop"))) == (
        [],
        [],
    )


@pytest.mark.parametrize(
    ("old", "new", "gone", "come"),
    [
        ("directory: x", "directory: y", ["shop/table", "other/table"], ["shop/table", "other/table"]),
        ("signals: [ItemError]", "rate: 5", ["shop/chat"], ["shop/chat"]),
        ("{chat: {enabled: false}}", "{table: {enabled: false}}", ["other/table"], ["other/chat"]),
        ("  shop: {keys: [a-key-of-the-shop]}\n", "", ["shop/table", "shop/chat"], []),
        (
            "  shop:",
            "  third: {keys: [c-key-of-the-shop], routes: {chat: {enabled: false}}}\n  shop:",
            [],
            ["third/table"],
        ),
        ("  chat: {sink: chat", "  talk: {sink: chat", ["shop/chat"], ["shop/talk", "other/talk"]),
    ],
)
def test_which_routes_go_and_come(folder: Folder, old: str, new: str, gone: list[str], come: list[str]) -> None:
    text = MAIN.replace(old, new)
    if "talk" in new:
        text = text.replace(", routes: {chat: {enabled: false}}", "")
    found = changed_routes(load(folder), load(folder, text))
    assert [[f"{account}/{route}" for account, route in keys] for keys in found] == [gone, come]


def test_a_secret_that_changed_is_a_change(folder: Folder) -> None:
    keys = [("shop", "chat")]
    assert changed_routes(load(folder), load(folder, hook="https://chat.example/b")) == (keys, keys)
