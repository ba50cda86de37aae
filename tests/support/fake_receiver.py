"""A receiver of Standard Webhooks, which verifies each signature. To see requests, run:

python -m tests.support.fake_receiver --port 8092
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

from standardwebhooks import Webhook

from gateway import exact_json
from tests.support.stub import Answer, Request, Stub, run_until_interrupted

PATH = "/hook/8f14e45fceea167a"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class FakeReceiver(Stub):
    """A receiver that keeps each event once, in `events` by id. It knows one secret and accepts POST only."""

    def __init__(self, secret: str = SECRET) -> None:
        super().__init__()
        self.events: dict[str, bytes] = {}
        self.secret = secret
        self.say: Callable[[str], None] = lambda _: None

    @property
    def hook(self) -> str:
        return self.url + PATH

    def answer(self, request: Request) -> Answer:
        if request.path != PATH:
            return Answer(404)
        if not self.is_signed(request):
            return Answer(401)
        if request.method != "POST":
            return Answer(405)
        key = request.headers["webhook-id"]
        self.say(f"{key} {'again' if key in self.events else exact_json.loads(request.body)}")
        self.events[key] = request.body
        return Answer(202)

    def is_signed(self, request: Request) -> bool:
        """Return True if the library signs the same. Its `verify` reads the real clock, so tests can't use it."""
        at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        expected = Webhook(self.secret).sign(request.headers["webhook-id"], at, request.body.decode())
        return expected in request.headers["webhook-signature"].split(" ")


async def main() -> None:
    parser = argparse.ArgumentParser(description="A receiver that verifies and prints the events it is sent.")
    parser.add_argument("--port", type=int, default=8092)
    parser.add_argument("--secret", default=SECRET)
    chosen = parser.parse_args()
    fake = FakeReceiver(chosen.secret)
    fake.say = lambda line: print(line, flush=True)
    fake.start(chosen.port)
    print(f"url: {fake.hook}", f"secrets: {fake.secret}", sep="\n", flush=True)


if __name__ == "__main__":
    run_until_interrupted(main)
