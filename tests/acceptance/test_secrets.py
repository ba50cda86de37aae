"""No key and no secret is ever printed, logged, stored or shown."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gateway.config import load_config
from gateway.logs import spellings
from tests.support.factory import make_payload
from tests.support.fake_odoo import FakeOdoo
from tests.support.process import Gateway, run_cli
from tests.support.stub import Answer, Request, Stub

ENV = {
    "SHOP_KEY": "right-key-\\escaped\\-7c1a2b",
    "OLD_KEY": "old-key-55aa66bb77cc",
    "SLACK_URL": "http://127.0.0.1:{slack}/services/T0/B0/slack-s3cret-path",
    "ODOO_KEY": "odoo-api-key-0f1e2d3c",
    "HOOK_URL": "http://127.0.0.1:{slack}/hook/webhook-s3cret-path",
    "HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "PEOPLE_PASSWORD": "apprise-s3cret-pass",
    "PEOPLE_URL": "json://gateway:apprise-s3cret-pass@127.0.0.1:{slack}/apprise-t0ken-path",
}
CONFIG = """\
server: {listen: 127.0.0.1:0}
store: {url: "sqlite:///gateway.db"}
log: {format: json, level: debug}
plugins: [csv, slack, odoo, webhook, apprise]
tenant: acme
accounts:
  shop:
    keys: [!env SHOP_KEY, {key: !env OLD_KEY, label: old}]
    routes:
      export: {sink: csv, options: {directory: exports}}
      alerts: {sink: slack, signals: ['*'], options: {webhook_url: !env SLACK_URL}}
      erp: {sink: odoo, options: {url: "http://127.0.0.1:ODOO", database: demo, api_key: !env ODOO_KEY}}
      forward: {sink: webhook, options: {url: !env HOOK_URL, secrets: !env HOOK_SECRET, allow_private: true}}
      people: {sink: apprise, options: {urls: !env PEOPLE_URL}}
"""


class Echo(Stub):
    """A target that answers with everything it was sent, as a careless proxy's error page does."""

    def answer(self, request: Request) -> Answer:
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.get_all())
        return Answer(400, f"<html>{request.path}\n{headers}\n{request.body.decode()}</html>")


def post(url: str, body: bytes) -> str:
    """Return any answer's status, headers and body."""
    request = urllib.request.Request(url, body, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return f"{answer.status} {answer.headers} {answer.read()!r}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.headers} {error.read()!r}"


def bodies(key: str) -> list[bytes]:
    """Return good requests, bad ones with a right key, and ones with a key in a wrong place."""
    good = make_payload("ItemError", datetime="2026-11-24T08:00:00+00:00")
    text = json.dumps({"apikey": key, **good})
    return [
        text.encode(),
        json.dumps({"apikey": key, **good, "cause": key, "extra": {"ApiKey": key}}).encode(),
        json.dumps({"apikey": key, "type": "ItemError", "note": key}).encode(),
        text.replace("Paper jam", "\ud800").encode("utf-8", "surrogatepass"),
        text[:-1].encode(),
        f"[{text}]".encode(),
        json.dumps({"apikey": f"{key}x", **good}).encode(),
        json.dumps({"apikey": [key], **good}).encode(),
        b'{"apikey": "wrong-key-nobody-has"}',
    ]


@pytest.mark.timeout(600)  # it runs each command
@pytest.mark.gen_test(timeout=590)
async def test_no_secret_is_anywhere(tmp_path: Path) -> None:
    slack, odoo = Echo(), FakeOdoo(key="another-key")
    slack.start()
    odoo.start()
    port = slack.url.rsplit(":", 1)[1]
    env = {name: value.replace("{slack}", port) for name, value in ENV.items()}
    (tmp_path / "gateway.yaml").write_text(CONFIG.replace("ODOO", odoo.url.rsplit(":", 1)[1], 1))
    seen = await asyncio.to_thread(use_it, tmp_path, env)
    await slack.stop()
    await odoo.stop()
    asked = {request.path.split("/")[1] for request in slack.requests}
    assert asked == {"services", "hook", "apprise-t0ken-path"}, "who was never asked proves nothing"
    assert odoo.requests, "Odoo was never asked, so its errors prove nothing"
    written = {
        str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".yaml"
    }
    assert any(name.endswith(".csv") for name in written)
    assert b"signal.refused" in written[str(tmp_path / "gateway.log")]
    written["what was shown"] = seen.encode()
    for name, secret in env.items():
        hidden = secret.rsplit("/", 1)[-1]
        for form in spellings(hidden):
            for place, content in written.items():
                assert form.encode() not in content, f"{name} is in {place}"
    for place, content in written.items():
        assert b"apikey" not in content.lower(), f"a key's field is in {place}"


def use_it(folder: Path, env: dict[str, str]) -> str:
    """Send requests, run every command, and return everything that was answered or printed."""
    shown = [repr(load_config(folder / "gateway.yaml", env))]
    with Gateway(folder, env) as gateway:
        for key in (env["SHOP_KEY"], env["OLD_KEY"]):
            shown += [
                post(f"{gateway.url}/signals/{account}", b) for account in ("shop", "nobody") for b in bodies(key)
            ]
        gateway.wait_for_log('"outcome":"delivered"', 2)
        gateway.wait_for_log('"route":"alerts"', 2)
        for route in ("erp", "forward", "people"):
            gateway.wait_for_log(f'"route":"{route}"', 1)
        assert gateway.terminate() == 0
    for words in (
        ["check"],
        ["check", "--connect"],
        ["signals"],
        ["deliveries"],
        ["dead"],
        ["quarantine"],
        ["quarantine", "--json"],
        ["plugins"],
        *(["show", str(number)] for number in range(1, 5)),
    ):
        done = run_cli(*words, "--config", "gateway.yaml", cwd=folder, env=env)
        shown += [done.stdout, done.stderr]
    (folder / "gateway.yaml").write_text(CONFIG.replace("!env SLACK_URL", "!env OLD_KEY").replace("ODOO", "x", 1))
    done = run_cli("check", "--config", "gateway.yaml", cwd=folder, env=env)
    assert done.returncode == 1
    return "\n".join([*shown, done.stdout, done.stderr])
