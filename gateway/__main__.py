"""`python -m gateway` is `cloudsignal`."""

from gateway.cli import main

main(prog_name="cloudsignal")
