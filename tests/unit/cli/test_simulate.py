"""The command simulate, as far as its options and its exit code."""

from tests.support.folder import Folder
from tests.support.scene import serving
from tests.support.stub import Answer, Stub


def test_an_argument_that_is_not_a_url_is_wrong_usage(folder: Folder) -> None:
    output = folder.run("simulate", "gateway.example/signals/bookshop", "--key", "k", code=2).output
    assert "expected an endpoint's URL" in output
    assert "sending" not in output


def test_a_wrong_key_is_reported_once(folder: Folder) -> None:
    stub = Stub()
    stub.answer = lambda request: Answer(401)  # type: ignore[method-assign]
    with serving(stub):
        words = (f"{stub.url}/signals/bookshop", "--key", "wrong", "--orders", "1", "--attempts", "1")
        result = folder.run("simulate", *words, code=1)
    assert result.output.count("answers 401: no such account, or not its key") == 1
    assert "0 accepted" in result.output
    assert "wrong" not in result.output
