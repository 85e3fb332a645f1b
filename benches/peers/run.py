"""Runs every peer in a process of its own, one JSON line each: `python run.py FILE.inter [--only TEXT]`."""

import argparse
import os
import pathlib
import subprocess
import sys

import data

HERE = pathlib.Path(__file__).parent
# PyTorch asks the system for every large tensor anew; with these it gets warm pages back instead.
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 33), "MALLOC_TOP_PAD_": str(1 << 28)}
PEERS = [
    ("nsmar_step.py", "--how", "bucketed"),
    ("nsmar_step.py", "--how", "tuned"),
    ("nsmar_step.py", "--how", "padded", "--steps", "1"),
    ("lightgcn_epoch.py", "--how", "csr"),
    ("lightgcn_epoch.py", "--how", "coo"),
    ("rank.py", "--how", "split"),
    ("rank.py", "--how", "split", "--block", "128", "--runs", "2"),
    ("rank.py", "--how", "unsplit"),
    ("rank.py", "--how", "dot", "--runs", "7"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("interactions", help=data.ARGUMENT)
    parser.add_argument("--only", default="", help="run the peers whose command contains this")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--keep-memory", action="store_true", help="let the allocator keep freed pages (glibc settings)")
    args = parser.parse_args()
    for script, *options in PEERS:
        if args.only in " ".join([script, *options]):
            command = [sys.executable, HERE / script, args.interactions, *options, "--threads", args.threads]
            subprocess.run(command, check=True, env=os.environ | (KEEP if args.keep_memory else {}))


if __name__ == "__main__":
    main()
