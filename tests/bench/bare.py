"""The yardstick: a Tornado RequestHandler that parses the JSON and answers 200; no checks, no disk, no access log."""

from __future__ import annotations

import asyncio
import sys

from tornado.escape import json_decode
from tornado.web import Application, RequestHandler

from gateway.cli.serve import find_loop_factory


class Bare(RequestHandler):
    def post(self) -> None:
        json_decode(self.request.body)


async def serve(port: int) -> None:
    Application([(r"/signals/[^/]+", Bare)], log_function=lambda handler: None).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    # By default the gateway's own loop, so that the ratio does not compare loops.
    loop_factory = None if sys.argv[2] == "asyncio" else find_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(int(sys.argv[1])))
