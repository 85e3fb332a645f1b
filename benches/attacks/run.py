"""Attacks on the program, each with what it promises: `python3 benches/attacks/run.py [ATTACK ...]`; README.md says what they do.

One line per kind of trial: attack, count, results. Exits 1 where a promise was broken, and then keeps the folder of work."""

import argparse
import os
import pathlib
import sys
import time

import clients
import disk
import flips
import kill
import requests
import soak
import stop
from world import ROOT, World

ATTACKS = {"kill": kill, "flips": flips, "requests": requests, "clients": clients, "soak": soak, "stop": stop, "disk": disk}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # `choices` would refuse the empty list.
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)} [default: all]")
    at = os.environ.get("ALIKE", ROOT / "target/debug/alike")
    parser.add_argument("--program", type=pathlib.Path, default=at, help="[default: ALIKE or target/debug/alike]")
    parser.add_argument("--seed", type=int, default=1, help="of all randomness [default: %(default)s]")
    parser.add_argument("--count", type=int, help="trials of each kind; README.md says of what")
    parser.add_argument("--quick", action="store_true", help="few of each: whether the attacks themselves work")
    args = parser.parse_args()
    unknown = [name for name in args.attacks if name not in ATTACKS]
    if unknown:
        parser.error(f"no such attack: {unknown[0]}; there are {', '.join(ATTACKS)}")
    if not os.access(args.program, os.X_OK):
        parser.error(f"{args.program}: no such program; build it with `cargo build`, or name one by --program")
    return args


def main():
    args = arguments()
    broken = []
    for name in args.attacks or ATTACKS:
        attack, begun = ATTACKS[name], time.monotonic()
        count = args.count or (attack.QUICK if args.quick else attack.COUNT)
        world, failed = World(args.program, args.seed), len(broken)
        try:
            for tally in attack.attack(world, count):
                print(tally.line(), flush=True)
                for line in tally.broken:
                    print(f"    broken: {line}", flush=True)
                broken += tally.broken
        finally:
            if len(broken) == failed and not sys.exc_info()[0]:
                world.close()
            else:
                print(f"    kept: {world.folder}", flush=True)
        print(f"    {time.monotonic() - begun:.0f} s, seed {args.seed}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
