"""Ctrl-C of every command at several moments: exit code 130 within two seconds, nothing half-written, and the work goes on."""

import os
import re
import signal
import time

from kill import after, when
from server import Server
from world import DATA, Tally, differs, experiment, features, fresh, half_written, interactions, lasting, prepare, told

COUNT, QUICK = 6, 2
# From the signal to the end.
SOON = 2
INTERRUPTED = 130


def listens(child):
    """Waits until a process catches Ctrl-C; before that the system ends it, as every program."""
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as file:
                caught = int(re.search(r"SigCgt:\s*(\w+)", file.read())[1], 16)
        except OSError:
            return
        if caught & 1 << signal.SIGINT - 1:
            return
        time.sleep(0.0005)


def stopped(world, args, wait):
    """(exit code, what it said, seconds from the signal to the end) of a command that gets Ctrl-C after `wait(child)`."""
    child = world.start(*args)
    listens(child)
    wait(child)
    child.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, err = child.communicate(timeout=60)
    return child.returncode, err, time.monotonic() - begun


def cases(world):
    """(name, arguments, whether the command keeps what it has done when it is stopped)"""
    interactions(world / "large.inter", world.random("large"), users=10_000, items=4_000, each=25)
    features(world / "large.npy", world.random("features"), rows=4_000, width=64)
    data, run, file, out = world.bundled(), world / "run", experiment(world), world / "out"
    world.must("train", "lightgcn", "--data", data, "--out", run, "--set", "epochs=3")
    large = ("--interactions", world / "large.inter", "--feature", f"text={world / 'large.npy'}")
    yield "prepare", ("prepare", *large, "--out", out / "data"), False
    yield "prepare over older data", prepare(out / "data", "--split", "random", "--seed", "1"), False
    yield "embed", ("embed", "--items", DATA / "items.jsonl", "--dim", "32", "--batch", "16", "--out", out / "text.safetensors"), True
    for model, more in (("lightgcn", ("epochs=10", "eval_every=1")), ("slim", ("tolerance=0", "passes=30")), ("nsmar+", ("epochs=2",))):
        settings = [part for setting in more for part in ("--set", setting)]
        yield f"train {model}", ("train", model, "--data", data, "--out", out / "run", *settings), True
    yield "experiment", ("experiment", file, "--out", out / "experiment"), True
    yield "evaluate", ("evaluate", run), False
    for ending in ("csv", "parquet"):
        yield f"recommend --all {ending}", ("recommend", run, "--all", "--top", "100", "--out", out / f"all.{ending}"), False
    yield "demo", ("demo", "--epochs", "1", "--out", out / "demo"), True


def of(world, name, args, in_steps, count):
    """A command that keeps what it has done must go on to the same; any other leaves all or nothing."""
    tally, out = Tally(f"Ctrl-C of {name}"), world / "out"
    older = prepare(out / "data", "--split", "random") if "older" in name else None

    def before():
        fresh(out).mkdir()
        if older:
            world.must(*older)

    before()
    empty = lasting(out)
    whole = world.must(*args).seconds
    right, slowest = lasting(out), 0
    for trial in range(count):
        before()
        # Spread over the command, each at random within its part; every other soon after it begins to write.
        rng, entries = world.random(name, trial), len(os.listdir(out))
        if trial % 2:
            delay = rng.uniform(0, whole / 4)
            wait, moment = when(lambda: len(os.listdir(out)) > entries, delay), f"{delay:.2f} s of writing"
        else:
            delay = whole * (trial + 2 * rng.random()) / count
            wait, moment = after(delay), f"{delay:.2f} s"
        code, err, seconds = stopped(world, args, wait)
        slowest, found = max(slowest, seconds), lasting(out)
        last = (err.strip().splitlines() or [""])[-1]
        stray = half_written(out)
        again = args
        if args[0] == "train" and (out / "run/run.json").exists():
            again = (*args, "--resume")
        if code not in (0, INTERRUPTED) or seconds > SOON or (code and not ("error: " in last and "interrupted" in last)):
            tally.broke(trial, f"after {moment}: exit {code} in {seconds:.2f} s: {last!r}")
        elif stray:
            tally.broke(trial, f"after {moment}: half-written {stray}")
        elif not in_steps and found not in (empty, right):
            tally.broke(trial, f"after {moment}: neither nothing nor all, but {differs(found, empty)}")
        elif (done := world.run(*again)).code != 0:
            tally.broke(trial, f"after {moment}: it does not go on: {told(done)}")
        elif names := differs(lasting(out), right):
            tally.broke(trial, f"after {moment}: it goes on to something else: {names}")
        else:
            tally.add("130" if code else "done before")
    tally.note(f"within {slowest:.2f} s")
    return tally


def of_serve(world, count):
    tally, slowest = Tally("Ctrl-C of serve"), 0
    for trial in range(count):
        server = Server(world, world / "run", world / "events.sqlite", "--drain", "10")
        time.sleep(world.random("serve", trial).uniform(0, 0.3))
        status, _ = server.ask("POST", "/v1/events", {"user": "a", "item": "1", "kind": "take"})
        os.kill(server.child.pid, signal.SIGINT)
        begun = time.monotonic()
        code = server.child.wait(60)
        slowest = max(slowest, time.monotonic() - begun)
        if (status, code) != (200, INTERRUPTED) or slowest > SOON:
            tally.broke(trial, f"event {status}, exit {code} in {slowest:.2f} s")
        else:
            tally.add("130")
    tally.note(f"within {slowest:.2f} s")
    return tally


def attack(world, count):
    """`count` is moments per command."""
    for name, args, in_steps in cases(world):
        yield of(world, name, args, in_steps, count)
    yield of_serve(world, count)
