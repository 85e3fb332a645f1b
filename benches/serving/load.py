"""A shop's load on a server: pages, events, changes of items and swaps of the run, all at once.

    python benches/serving/load.py target/release/alike RUN --work DIR [--seconds 60] [--pages 100] [--events 10000]
                                   [--changes 20] [--swaps 0] [--rows for-you popular …]

Starts `alike serve RUN` on a store of its own under DIR, then asks for whole pages at a fixed rate, whether or not earlier ones
have been answered: times run from when a page was due. Beside it come events in requests of a hundred, each with a key,
and changes of stock. With `--swaps N` another checkpoint is put into the run's place N times (a copy of RUN under DIR is served
then). At the end it stops the server, reads the store and looks for every event that was acknowledged. Prints a line of
JSON, with the largest memory of the server; `--every 60` prints one each minute as well, for a soak.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

BATCH = 100


class Load:
    """What was measured, by threads that share it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.times, self.failed, self.acknowledged, self.changed, self.late = [], {}, 0, 0, 0
        self.keys = set()

    def note(self, kind, milliseconds=None, keys=()):
        with self.lock:
            if kind == "page":
                self.times.append(milliseconds)
            elif kind == "events":
                self.acknowledged += len(keys)
                self.keys.update(keys)
            elif kind == "change":
                self.changed += 1
            else:
                self.failed[kind] = self.failed.get(kind, 0) + 1


def at_rate(rate, end, threads, work):
    """Calls `work(connection, n, due)` `rate` times per second until `end`, spread over threads."""
    began = time.monotonic()

    def one(first):
        place = {}
        for n in range(first, 1 << 60, threads):
            due = began + n / rate
            if due >= end:
                return
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            work(place, n, due)

    started = [threading.Thread(target=one, args=(first,), daemon=True) for first in range(threads)]
    for thread in started:
        thread.start()
    return started


def asker(address, load, kind):
    """Sends requests over a connection that is kept; the body of an answer, None where there is none."""

    def ask(place, method, path, body):
        for attempt in (1, 2):
            try:
                if "connection" not in place:
                    place["connection"] = http.client.HTTPConnection(address, timeout=30)
                place["connection"].request(method, path, json.dumps(body), {"content-type": "application/json"})
                answer = place["connection"].getresponse()
                text = answer.read()
                if answer.will_close:
                    place.pop("connection").close()
                if answer.status == 200:
                    return json.loads(text)
                load.note(f"{kind}: {answer.status}")
                return None
            except (http.client.HTTPException, OSError) as error:
                place.pop("connection", None)
                if attempt == 2:
                    load.note(f"{kind}: {type(error).__name__}")
        return None

    return ask


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def quantile(times, share):
    return round(sorted(times)[min(int(len(times) * share), len(times) - 1)], 2) if times else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("run", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pages", type=float, default=100)
    parser.add_argument("--events", type=float, default=10_000)
    parser.add_argument("--changes", type=float, default=20)
    parser.add_argument("--swaps", type=int, default=0)
    parser.add_argument("--other", type=Path, help="the run that takes the place in swaps")
    parser.add_argument("--rows", nargs="*")
    parser.add_argument("--every", type=float)
    parser.add_argument("--data", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    store, run = args.work / "load.sqlite", args.run
    for left in args.work.glob("load.sqlite*"):
        left.unlink()
    if args.swaps:
        run = args.work / "live"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(args.run, run)
    command = [args.program, "serve", str(run), "--address", "127.0.0.1:0", "--store", f"sqlite:{store}", "--log", "json"]
    command += ["--data", str(args.data)] if args.data else []
    with open(args.work / "load.log", "w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    address = server.stdout.readline().strip().removeprefix("listening on http://")
    load, place = Load(), {}
    read = lambda path: (lambda c: (c.request("GET", path), json.loads(c.getresponse().read()))[1])(http.client.HTTPConnection(address))
    users = read("/v1/users?query=&top=1000")["users"]
    items = [item["item"] for item in read("/v1/items?query=&top=1000")["items"]]
    began = time.monotonic()
    end = began + args.seconds
    draw = random.Random(1)
    page = asker(address, load, "page")
    events = asker(address, load, "events")
    change = asker(address, load, "change")

    def a_page(place, n, due):
        body = {"user": users[(n * 7919) % len(users)], "item": items[(n * 104729) % len(items)]}
        if args.rows:
            body["rows"] = args.rows
        if page(place, "POST", "/v1/page", body) is not None:
            load.note("page", (time.monotonic() - due) * 1000)

    def some_events(place, n, due):
        keys = [f"{n}-{at}" for at in range(BATCH)]
        some = [{"user": f"load-{draw.randrange(100_000)}", "item": draw.choice(items), "kind": "take", "key": key} for key in keys]
        if events(place, "POST", "/v1/events", {"events": some}) is not None:
            load.note("events", keys=keys)

    def a_change(place, n, due):
        item = items[n % len(items)]
        if change(place, "PATCH", f"/v1/items/{item}", {"stock": n % 5}) is not None:
            load.note("change")

    threads = at_rate(args.pages, end, 32, a_page) if args.pages else []
    threads += at_rate(args.events / BATCH, end, 16, some_events) if args.events else []
    threads += at_rate(args.changes, end, 4, a_change) if args.changes else []
    swaps, told, seen = 0, time.monotonic(), []

    def line():
        now, most = memory(server.pid)
        seen.append(round(now))
        took = max(time.monotonic() - began, 1e-9)
        with load.lock:
            times = list(load.times)
            said = {
                "seconds": round(took, 1), "pages": len(times), "pages_per_s": round(len(times) / took, 1),
                "p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99), "max_ms": quantile(times, 1),
                "events": load.acknowledged, "events_per_s": round(load.acknowledged / took), "changes": load.changed,
                "swaps": swaps, "failed": dict(load.failed), "resident_mib": round(now), "most_mib": round(most),
            }
        return said

    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)
        now = time.monotonic()
        if swaps < args.swaps and now - began > (swaps + 1) * args.seconds / (args.swaps + 1):
            other = [args.other or args.run, args.run][swaps % 2]
            fresh = args.work / "next"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(other, fresh)
            shutil.rmtree(args.work / "old", ignore_errors=True)
            os.rename(run, args.work / "old")
            os.rename(fresh, run)
            server.send_signal(signal.SIGHUP)
            swaps += 1
        if args.every and now - told > args.every:
            told = now
            print(json.dumps(line()), flush=True)
    said = line()
    said["version"] = read("/v1/model")["version"]
    server.send_signal(signal.SIGTERM)
    said["exit"] = server.wait(timeout=60)
    kept = {key for (key,) in sqlite3.connect(store).execute("SELECT key FROM events WHERE key IS NOT NULL")}
    said["lost"] = len(load.keys - kept)
    print(json.dumps(said), flush=True)
    return 1 if said["lost"] or said["exit"] else 0


if __name__ == "__main__":
    sys.exit(main())
