"""Messages by mail, Teams, Discord and a hundred other ways, by the library Apprise. See README.md."""

from gateway.errors import PluginError

try:
    from cloudsignal_apprise.sink import AppriseSink
except ModuleNotFoundError as error:
    if error.name != "apprise":
        raise
    raise PluginError("it needs the library apprise: pip install 'cloudsignal-gateway[apprise]'") from error

__all__ = ["AppriseSink"]
