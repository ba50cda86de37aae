"""The route's options: their validators, meanings and defaults in Settings, and the values derived from them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import voluptuous as vol

from gateway.sink import (
    Context,
    Delivery,
    Secret,
    SecretValue,
    Signal,
    Url,
    option,
    proxy_option,
    severity_of,
    shaped,
    signal_types,
)

GROUP_MENTIONS = ("here", "channel", "everyone")
MENTIONED = ("error", "canceled", "other")
"""The severities that `mention` tells apart."""
CHANNEL = {"type": "string", "pattern": r"^#?[\w.{}-]{1,100}$"}
MENTION = {"type": "string", "pattern": "^<?(@|!subteam\\^|!)?(here|channel|everyone|[UWS][A-Z0-9]{5,20})>?$"}
PEOPLE = {"anyOf": [MENTION, {"type": "array", "items": MENTION, "maxItems": 20}]}
SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
PLACEHOLDERS = re.compile(r"\{(account|tenant)\}")


def severity(signal: Signal) -> str:
    """Return which of MENTIONED a signal is."""
    return {"info": "other", "canceled": "canceled"}.get(severity_of(signal), "error")


@shaped(type="string", pattern="^https?://\\S+$")
def safe_url(value: object) -> str:
    """Check an https URL. Plain http is allowed to this machine only, for tests with a fake Slack."""
    url = Url()(value)
    if urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
        raise vol.Invalid("expected an https URL (http is for this machine only)")
    return url


def incoming_webhook(value: object) -> str:
    """Check the URL of an incoming webhook. A workflow's trigger takes fields of its own and posts no message."""
    url = safe_url(value)
    parts = urlsplit(url)
    first = parts.path.lower().split("/")[1:2]
    if first in (["triggers"], ["workflows"]) or (parts.hostname in SLACK_HOSTS and first != ["services"]):
        raise vol.Invalid(
            "expected an incoming webhook's URL (hooks.slack.com/services/…), not a workflow's or another one: "
            "in the app's settings choose Incoming Webhooks, Add New Webhook"
        )
    return url


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bot_token(value: str) -> str:
    if not re.fullmatch(r"xox[a-z]-[A-Za-z0-9-]+", value):
        raise vol.Invalid("expected a bot's token: xoxb-…")
    return value


@shaped(**CHANNEL)
def channel_name(value: object) -> str:
    """Check a channel's id, or a public channel's name with `{tenant}` and `{account}` for the route's names."""
    name = value.removeprefix("#") if isinstance(value, str) else ""
    if not re.fullmatch(r"[CGD][A-Z0-9]{5,20}|[\w.-]{1,80}", PLACEHOLDERS.sub("x", name)):
        raise vol.Invalid("expected a channel's id (C…) or name")
    return name


@shaped(type="object", propertyNames={"enum": list(signal_types.TYPES)}, additionalProperties=CHANNEL)
def channel_by_type(value: object) -> dict[str, str]:
    """Check a mapping of signal types to channels."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise vol.Invalid(f"expected a channel for each type, such as {signal_types.ITEM_ERROR}: C012ABCDE")
    if not set(value) <= set(signal_types.NAMES):
        raise vol.Invalid(f"expected signal types, of: {', '.join(signal_types.NAMES)}")
    return {key: channel_name(name) for key, name in value.items()}


@shaped(
    anyOf=[PEOPLE, {"type": "object", "properties": dict.fromkeys(MENTIONED, PEOPLE), "additionalProperties": False}]
)
def mentions_by_severity(value: object) -> dict[str, tuple[str, ...]]:
    """Return the mentions by severity, in Slack's syntax. A single one or a list is for errors and cancellations."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(("error", "canceled"), people(value))
    if not set(value) <= set(MENTIONED):
        raise vol.Invalid("expected mentions for error, canceled or other")
    return {name: people(names) for name, names in value.items()}


def people(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or len(names) > 20:
        raise vol.Invalid("expected a mention, or a list of at most 20")
    return tuple(mention(name) for name in names)


def mention(value: object) -> str:
    """Return a mention in Slack's syntax: `<!here>`, `<@U012ABCDE>` or `<!subteam^S012ABCDE>`."""
    name = re.sub(r"^<?(@|!subteam\^|!)?|>$", "", value) if isinstance(value, str) else ""
    if name in GROUP_MENTIONS:
        return f"<!{name}>"
    if re.fullmatch(r"[UW][A-Z0-9]{5,20}", name):
        return f"<@{name}>"
    if re.fullmatch(r"S[A-Z0-9]{5,20}", name):
        return f"<!subteam^{name}>"
    raise vol.Invalid("expected here, channel, everyone, a user's id (U…) or a user group's (S…)")


@shaped(type="string", pattern="^https?://[^<>|&?#\\s]+$")
def page_url(value: object) -> str:
    url = Url()(value)
    if re.search(r"[<>|&?#]", url):
        raise vol.Invalid("expected the console's URL, without a query")
    return url


@shaped(type="integer", minimum=0, maximum=60)
def digest_limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 60:
        raise vol.Invalid("expected a number of messages a minute from 1 to 60, or 0 for no digests")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options once validated. `mention` maps severities to mentions in Slack's syntax."""

    webhook_url: SecretValue | None = option(
        Secret(incoming_webhook),
        "The incoming webhook's URL, https (http only to this machine); a secret. Give this or `token`.",
        unset=None,
    )
    token: SecretValue | None = option(
        Secret(bot_token), "The bot's token, `xoxb-…`; a secret. Give this or `webhook_url`.", unset=None
    )
    channel: str = option(
        channel_name,
        "With a token, the channel: its id, or a public channel's name, with `{tenant}` and `{account}` for the "
        "route's. Required with `token`.",
        unset="",
    )
    channels: Mapping[str, str] = option(
        channel_by_type,
        f"With a token, other channels for some types: `{{{signal_types.ITEM_ERROR}: C034FGHIJ}}`.",
        default={},
    )
    mention: Mapping[str, tuple[str, ...]] = option(
        mentions_by_severity,
        "The people to mention: one or a list, for errors and cancellations; or by severity, "
        "`{error: …, canceled: …, other: …}`. `here`, `channel`, `everyone`, a user's id (`U012ABCDE`), "
        "or a user group's (`S012ABCDE`).",
        default=[],
    )
    digest: int = option(
        digest_limit,
        "The number of signals per minute above which they become one message; 0 for no digests.",
        default=20,
    )
    console_url: str = option(
        page_url,
        "The URL of a console of your own; the gateway serves none. Each message then links to "
        "`/orders/<account>/<order>` there. Without it, messages have no links.",
        unset="",
    )
    api_url: str = option(
        safe_url, "The URL of Slack's Web API. GovSlack has another.", default="https://slack.com/api"
    )
    proxy: bool = proxy_option()


def check_together(options: Mapping[str, Any]) -> None:
    """Check that there is either a webhook, which has its channel, or a token with a channel."""
    if ("webhook_url" in options) == ("token" in options):
        raise vol.Invalid("expected either webhook_url or token", path=["webhook_url"])
    if "token" in options and "channel" not in options:
        raise vol.Invalid("required with token", path=["channel"])
    if "webhook_url" in options and ("channel" in options or options["channels"]):
        name = "channel" if "channel" in options else "channels"
        raise vol.Invalid("a webhook posts to its own channel; this goes with token", path=[name])


def channel_of(settings: Settings, context: Context, signal: Signal) -> str:
    """Return the channel for a signal, "" for a webhook."""
    name = settings.channels.get(signal.type, settings.channel)
    words = {"account": context.account, "tenant": context.tenant}
    return PLACEHOLDERS.sub(lambda match: words[match[1]], name)


def mentions_of(settings: Settings, *deliveries: Delivery) -> tuple[str, ...]:
    """Return the mentions for these deliveries, each once."""
    found = [name for each in deliveries for name in settings.mention.get(severity(each.signal), ())]
    return tuple(dict.fromkeys(found))


def link_of(settings: Settings, signal: Signal) -> str:
    """Return the URL of the order's page in the console, "" if there is none."""
    order = signal.order or signal.order_reference
    if not settings.console_url or not order:
        return ""
    return f"{settings.console_url}/orders/{quote(signal.account, safe='')}/{quote(order[:300], safe='')}"
