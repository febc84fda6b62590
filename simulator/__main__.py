"""`python -m simulator`: runs the simulator until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

import uvicorn

from simulator.app import create_app
from simulator.journal import JournalMismatch
from simulator.settings import Settings

GRACE_S = 3


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line and serves; 0 after a stop by signal, 2 for a state folder of another seed."""
    parser = argparse.ArgumentParser(prog="simulator", description="The shops' and chat platforms' side, simulated.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--customers", type=int, default=120)
    parser.add_argument("--years", type=float, default=2, help="how far back the shops' history reaches")
    parser.add_argument("--state", type=Path, help="folder that keeps the world and the ledger over restarts")
    parser.add_argument("--push-base", default="http://127.0.0.1:8000", help="where /hooks/{platform}/{account} is")
    parser.add_argument("--no-push", action="store_true", help="send no pushes unless a target is set")
    parser.add_argument("--trickle", type=float, metavar="SECONDS", help="a new refund every so many seconds")
    parser.add_argument("--transit", type=float, default=20, metavar="SECONDS", help="how long a parcel travels")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings(
        host=chosen.host,
        port=chosen.port,
        seed=chosen.seed,
        customers=chosen.customers,
        years=chosen.years,
        state=chosen.state,
        push_base=None if chosen.no_push else chosen.push_base,
        trickle_s=chosen.trickle,
        transit_s=chosen.transit,
    )
    try:
        app = create_app(settings)
    except (JournalMismatch, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    # uvicorn stops gracefully and then raises the signal again; a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
