"""Options: the values that validators accept, messages without the value, and tables of options."""

from dataclasses import dataclass

import pytest
import voluptuous as vol

from gateway.sink import (
    ListOf,
    Secret,
    SecretValue,
    Url,
    duration,
    field_names,
    flag,
    header_value,
    one_of,
    option,
    options_of,
    server_url,
)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://erp.example", "https://erp.example"),
        ("http://127.0.0.1:8069/", "http://127.0.0.1:8069"),
        ("https://user@[::1]:1/path?q=1", "https://user@[::1]:1/path?q=1"),
    ],
)
def test_urls(url: str, clean: str) -> None:
    assert Url()(url) == clean


@pytest.mark.parametrize(
    "value",
    ["", "erp.example", "ftp://erp.example", "http://", "http://host:99999", "http://[::1", "http://a b", 7, None],
)
def test_invalid_urls(value: object) -> None:
    with pytest.raises(vol.Invalid) as raised:
        Url()(value)
    assert str(raised.value) == "expected a URL"


@pytest.mark.parametrize("mark", ['"', "'", "<", ">", "`", "“", "”", "‘", "’"])
@pytest.mark.parametrize(
    "spelling", ["https://host.example/x{}", "https://host.example/{}/x", "https://host.example/?q={}"]
)
def test_urls_with_marks_that_were_copied_along(spelling: str, mark: str) -> None:
    with pytest.raises(vol.Invalid, match=r"^the URL has a quotation mark or an angle bracket in it: remove it$"):
        Url()(spelling.format(mark))


def test_a_url_may_have_to_be_https() -> None:
    with pytest.raises(vol.Invalid, match="expected an https URL"):
        Url(https=True)("http://erp.example")


def test_a_secret_is_wrapped_once() -> None:
    secret = Secret(Url())("https://hooks.example/T0/s3cret/")
    assert isinstance(secret, SecretValue)
    assert secret.reveal() == "https://hooks.example/T0/s3cret"
    assert Secret()(secret) == secret


@pytest.mark.parametrize("value", ["", None, 5, ["s3cret"]])
def test_invalid_secrets(value: object) -> None:
    with pytest.raises(vol.Invalid, match="expected a secret") as raised:
        Secret()(value)
    assert "s3cret" not in str(raised.value)


def test_a_wrong_secret_is_not_told() -> None:
    with pytest.raises(vol.Invalid) as raised:
        Secret(Url())("s3cret, no URL")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(0, 0), (1.5, 1.5), ("30m", 1800), ("48h", 172800), ("7d", 604800), ("1.5h", 5400)],
)
def test_a_duration_is_seconds(given: object, seconds: float) -> None:
    assert duration(given) == seconds


@pytest.mark.parametrize("given", [True, -1, float("inf"), "", "90x", "7 d", "7w", None])
def test_invalid_durations(given: object) -> None:
    with pytest.raises(vol.Invalid, match="expected a duration such as 30s, 15m, 48h or 7d"):
        duration(given)


def test_an_address_has_no_path() -> None:
    assert server_url("https://erp.example:8069/") == "https://erp.example:8069"
    for url in ("https://erp.example/web", "https://erp.example?x=1", "https://erp.example#x"):
        with pytest.raises(vol.Invalid, match="without a path"):
            server_url(url)


def test_a_header_value_is_one_word() -> None:
    assert Secret(header_value("a key"))(" abc!~ ").reveal() == "abc!~"
    for value in ("two words", "two\nlines", "ä", "", 7):
        with pytest.raises(vol.Invalid, match="expected a key: one line, no spaces"):
            header_value("a key")(value)


def test_fields_are_one_or_a_list() -> None:
    fields = field_names("res", "name or number")
    assert (fields("name"), fields(["x_1", "name", "x_1"])) == (("name",), ("x_1", "name"))
    for value in ([], {}, 7, None):
        with pytest.raises(vol.Invalid, match="expected a field of res, or a list of them"):
            fields(value)
    for value in ("", "a b", ["name", 7], ["Name"]):
        with pytest.raises(vol.Invalid, match="names of fields of res, such as name or number"):
            fields(value)


def test_flags_and_words_are_taken_as_they_are() -> None:
    assert flag(False) is flag("false") is False
    assert one_of("a", "b")("a") == "a"
    for check, wrong, said in (
        (flag, "yes", "true or false"),
        (flag, 1, "true or false"),
        (one_of("a", "b"), "c", "a, b"),
    ):
        with pytest.raises(vol.Invalid, match=said):
            check(wrong)


@dataclass(frozen=True, kw_only=True)
class Settings:
    wait: float = option(duration, "How long to wait.", default="48h")
    url: str = option(server_url, "The server.")
    kinds: tuple[str, ...] = option(ListOf(one_of("a", "b")), "Kinds to send.", default=["a"])
    user: str | None = option(header_value("a user"), "The user.", unset=None)


def test_a_table_of_options_is_the_schema_and_the_settings() -> None:
    schema = vol.Schema(options_of(Settings))
    given = schema({"url": "https://erp.example/"})
    assert given == {"url": "https://erp.example", "wait": 172800.0, "kinds": ("a",)}
    assert Settings(**given) == Settings(url="https://erp.example", wait=172800.0, kinds=("a",), user=None)
    assert Settings(url="https://erp.example").wait == 172800.0
    assert {marker.schema: marker.description for marker in options_of(Settings)}["wait"] == "How long to wait."
    assert schema({**given, "user": "me"})["user"] == "me"


@pytest.mark.parametrize(("given", "path"), [({}, ["url"]), ({"url": "https://a.b", "kinds": ["c"]}, ["kinds", 0])])
def test_a_wrong_option_of_a_table_is_named(given: dict[str, object], path: list[object]) -> None:
    with pytest.raises(vol.MultipleInvalid) as raised:
        vol.Schema(options_of(Settings))(given)
    assert [error.path for error in raised.value.errors] == [path]
