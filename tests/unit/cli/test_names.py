"""Names of accounts and routes in the options of commands."""

import pytest

from gateway.model import Done
from gateway.store.contract import Store
from gateway.store.values import ClaimRequest, Refused, Result, RouteState, Target
from tests.support.factory import make_signal
from tests.support.folder import CONFIG, Folder

NOW = 1_800_000_000.0
BY_ACCOUNT = [
    ("routes",),
    ("signals",),
    ("deliveries",),
    ("dead",),
    ("quarantine",),
    ("export",),
    ("replay", "--dry-run"),
    ("quarantine", "replay", "--dry-run"),
]
BY_ROUTE = [("signals",), ("deliveries",), ("dead",), ("export",), ("replay", "--dry-run")]


def ids(commands: list[tuple[str, ...]]) -> list[str]:
    return [" ".join(words) for words in commands]


async def fill(store: Store) -> None:
    """Store rows of three removed accounts: a delivery, a quarantined request and an open route."""
    await store.accept(make_signal(account="posters", order="1"), [Target("mail", None)], [], False)
    await store.quarantine(Refused("mugs", 1.0, "{}", {"type": "required"}))
    await store.save_route_state(RouteState("cards", "mail", failures=5, opened=1, reason="answered 500"))


@pytest.mark.parametrize("command", BY_ACCOUNT, ids=ids(BY_ACCOUNT))
def test_an_unknown_account_is_an_error_that_suggests_a_known_one(folder: Folder, command: tuple[str, ...]) -> None:
    folder.fill(fill)
    result = folder.run(*command, "--account", "bokshop", code=1)
    assert (result.stdout, result.stderr) == ("", "there is no account 'bokshop'; did you mean 'bookshop'?\n")
    result = folder.run(*command, "--account", "zzz", code=1)
    assert result.stderr == "there is no account 'zzz'; known: bookshop, cards, posters\n"


@pytest.mark.parametrize("command", BY_ROUTE, ids=ids(BY_ROUTE))
def test_an_unknown_route_is_an_error_that_suggests_a_known_one(folder: Folder, command: tuple[str, ...]) -> None:
    folder.fill(fill)
    assert folder.run(*command, "--route", "exprt", code=1).stderr == (
        "there is no route 'exprt'; did you mean 'export'?\n"
    )
    assert folder.run(*command, "--account", "bookshop", "--route", "mail", code=1).stderr == (
        "the account bookshop has no route 'mail'; known: export, alerts\n"
    )
    assert folder.run(*command, "--account", "mugs", "--route", "mail", code=1).stderr == (
        "the account mugs has no route 'mail'\n"
    )


@pytest.mark.parametrize("account", ["bookshop", "posters", "mugs", "cards"])
@pytest.mark.parametrize("command", BY_ACCOUNT, ids=ids(BY_ACCOUNT))
def test_an_account_of_the_config_or_the_store_is_known(folder: Folder, command: tuple[str, ...], account: str) -> None:
    folder.fill(fill)
    refused = command[:2] == ("quarantine", "replay") and account == "mugs"  # as it can't be taken in any more
    folder.run(*command, "--account", account, code=1 if refused else 0)


@pytest.mark.parametrize(
    "words", [("--route", "export"), ("--route", "mail"), ("--account", "posters", "--route", "mail")]
)
@pytest.mark.parametrize("command", BY_ROUTE, ids=ids(BY_ROUTE))
def test_a_route_of_the_config_or_the_store_is_known(
    folder: Folder, command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folder.fill(fill)
    folder.run(*command, *words)


BY_TYPE = [("signals",), ("deliveries",), ("dead",), ("export",), ("replay", "--dry-run")]


@pytest.mark.parametrize("words", [(), ("--json",)], ids=" ".join)
@pytest.mark.parametrize(
    ("type", "hint"),
    [("ItemEror", "did you mean 'ItemError'?"), ("itemshipped", "did you mean 'ItemShipped'?"), ("zzz", "known: Cl")],
)
@pytest.mark.parametrize("command", BY_TYPE, ids=ids(BY_TYPE))
def test_an_unknown_type_is_an_error(
    folder: Folder, command: tuple[str, ...], type: str, hint: str, words: tuple[str, ...]
) -> None:
    if words and command == ("export",):
        return
    result = folder.run(*command, "--type", type, *words, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith(f"no signal has the type '{type}'; {hint}")


def test_a_type_that_the_gateway_or_the_store_knows_is_no_error(folder: Folder) -> None:
    folder.fill(lambda store: store.accept(make_signal("ItemFolded", account="bookshop"), [], [], False))
    assert folder.run("signals", "--type", "ItemError").output == "No signals.\n"
    assert folder.run("signals", "--type", "ItemError", "--json").output == ""
    assert "ItemFolded" in folder.run("signals", "--type", "ItemFolded").output


BY_ID = ["replay 999999", "replay 1 999999 --dry-run", "replay 999999 --json", "explain 999999", "show 999999 --json"]


@pytest.mark.parametrize("command", [*BY_ID, "retry 999999", "skip 999999 --route export"])
def test_an_unknown_signal_is_an_error(folder: Folder, command: str) -> None:
    folder.fill(fill)
    result = folder.run(*command.split(), code=1)
    assert (result.stdout, result.stderr) == ("", "there is no signal 999999\n")


@pytest.mark.parametrize("command", ["quarantine show 7", "quarantine replay 7 --json"])
def test_an_unknown_request_is_an_error(folder: Folder, command: str) -> None:
    result = folder.run(*command.split(), code=1)
    assert (result.stdout, result.stderr) == ("", "7 is not in quarantine\n")


def test_a_route_known_only_from_ended_deliveries_can_be_paused(folder: Folder) -> None:
    async def fill(store: Store) -> None:
        await store.accept(make_signal(account="bookshop"), [Target("gone", None)], [], False)
        claim = await store.claim([ClaimRequest("bookshop", "gone", 1)], NOW, NOW + 60)
        await store.record([Result(claim.deliveries[0], Done("delivered"), None, NOW)], {})

    folder.fill(fill)
    assert "bookshop/gone is paused; 0 pending deliveries will wait." in folder.run("pause", "bookshop", "gone").output


def test_an_account_without_routes_is_known(folder: Folder) -> None:
    (folder.path / "gateway.yaml").write_text(f"{CONFIG}  new: {{keys: [test-key-of-the-new-one]}}\n")
    assert folder.run("routes", "--account", "new").output == "No routes.\n"
