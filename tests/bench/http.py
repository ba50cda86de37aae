"""Compare the CPU per signal of the gateway's own HTTP server with Tornado's, each under the same gateway.

    python -m tests.bench.http [--seconds 10] [--rounds 3] [--connections 64] [--routes 3] [--json]

Three servers take turns on one core, each with a new process and an empty store. Figures are medians.
- `http1`: the gateway as it is.
- `tornado`: the same gateway, with Tornado's HTTPServer and a connection delegate on its public listener.
- `bare`: a Tornado RequestHandler that only parses the JSON.
The ratio of `tornado` to `http1` is the reason for gateway/web/http1.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from tests.bench import ingest, rig

SERVERS = {"http1": ingest.GATEWAY, "tornado": ingest.TORNADO, "bare": ingest.BARE}
"""Names in the output, and the servers that `ingest.measure` starts."""


def summarize(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the medians of each server, and the medians of the rounds' CPU ratios to `http1`."""
    medians = {
        name: {key: statistics.median(turn[key] for turn in each) for key in ("each", "rate", "p99")}
        for name, each in turns.items()
    }
    ratios = {name: rig.ratio(each, turns["http1"], "each") for name, each in turns.items()}
    return {"servers": medians, "ratios": ratios}


def render(result: dict[str, Any]) -> str:
    lines = [
        rig.describe(result["conditions"]),
        f"{'':10}{'CPU µs each':>12}{'to http1':>10}{'signals/s':>11}{'p99 ms':>8}",
    ]
    for name, row in result["servers"].items():
        ratio = result["ratios"][name]
        lines.append(f"{name:10}{row['each']:>12.0f}{ratio:>10.2f}{row['rate']:>11.0f}{row['p99']:>8.2f}")
    return "\n".join(lines)


def main() -> None:
    given = ingest.make_parser(__doc__).parse_args()
    cores = rig.find_cores()
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in SERVERS}
    for number in range(given.rounds):
        for name, each in turns.items():
            each.append(ingest.measure(SERVERS[name], given, cores))
            rig.tell(f"round {number + 1}: {name} {each[-1]['each']:.0f} µs of CPU per signal")
    result = {"conditions": ingest.conditions(given, cores), **summarize(turns)}
    print(json.dumps(result) if given.json else render(result))


if __name__ == "__main__":
    main()
