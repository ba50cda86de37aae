"""`cloudsignal` and `python -m gateway`: blocks SIGHUP while `serve` starts, then runs the command line."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        # SIGHUP kills a process without a handler, and importing the command line takes half a second. A blocked
        # signal waits until `serve` has its handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    from gateway.cli import main as run

    run(prog_name="cloudsignal")


if __name__ == "__main__":
    main()
