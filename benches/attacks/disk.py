"""A full disk and one that is read-only under every command that writes: one line of error, nothing half-written, and with room it goes on.

Needs root, for a small disk in memory (tmpfs)."""

import os
import sqlite3
import subprocess
import time

from server import Server
from world import DATA, Tally, differs, experiment, fresh, half_written, lasting, one_line, prepare, told

COUNT, QUICK = 5, 1
SIZE = 96 << 20
# A folder beside the disk.
ELSEWHERE = "elsewhere"


class Disk:
    """A small disk. `OSError` or `CalledProcessError` where none can be mounted."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / "filler"
        folder.mkdir()
        self.mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs")

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def mount(self, *options):
        subprocess.run(["mount", *options, self.folder], check=True, capture_output=True)

    def fill(self, left):
        """Takes all but so many bytes."""
        found = os.statvfs(self.folder)
        with open(self.filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - left))

    def read_only(self, on):
        self.mount("-o", f"remount,{'ro' if on else 'rw'}")


def cases(world, disk):
    """(name, arguments, arguments of what was there before or None, whether what is done is kept when the rest fails)"""
    data, run, file, out = world.bundled(), world / "run", experiment(world), disk.folder / "out"
    world.must("train", "lightgcn", "--data", data, "--out", run, "--set", "epochs=2")

    def train(model, epochs, data=data, out=out / "run"):
        return ("train", model, "--data", data, "--out", out, *(("--set", f"epochs={epochs}") if epochs else ()))

    older = prepare(out / "data", "--split", "random")
    yield "prepare", prepare(out / "data"), None, False
    yield "prepare over older data", prepare(out / "data"), older, False
    yield "embed", ("embed", "--items", DATA / "items.jsonl", "--dim", "16", "--out", out / "text.safetensors"), None, True
    yield "train lightgcn", train("lightgcn", 3), None, True
    yield "train slim", train("slim", None), None, True
    yield "train --resume", (*train("lightgcn", 4), "--resume"), train("lightgcn", 2), True
    yield "train lattice, data on the disk", train("lattice", 1, out / "data", world / ELSEWHERE / "run"), older, True
    yield "experiment", ("experiment", file, "--out", out / "experiment"), None, True
    for ending in ("csv", "jsonl", "parquet"):
        lists = ("recommend", run, "--all", "--out", out / f"all.{ending}")
        yield f"recommend --all {ending}", (*lists, "--top", "50"), lists, False
    yield "demo", ("demo", "--epochs", "1", "--out", out / "demo"), None, True


def one_error(done):
    """Whether the last line says what failed, and no other; those before tell of trainings that had ended, as in a demonstration."""
    lines = done.err.splitlines()
    return [line.startswith("error: ") for line in lines] == [False] * (len(lines) - 1) + [True]


def of(world, disk, name, args, older, in_steps, count):
    """Full but for a part of what the command needs, by chance, first of all full to the last byte; and read-only."""
    tally, out = Tally(f"{name} on a full or read-only disk"), disk.folder / "out"

    def before():
        fresh(out).mkdir()
        fresh(world / ELSEWHERE).mkdir()
        if older:
            world.must(*older)
        return left()

    def left():
        return lasting(out) | lasting(world / ELSEWHERE)

    before()
    world.must(*args)
    right, need = left(), sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    for trial in range(count + 1):
        there, read_only = before(), trial == count
        if read_only:
            disk.read_only(True)
        else:
            disk.fill(int(need * world.random(name, trial).random()) if trial else 0)
        try:
            done = world.run(*args)
        finally:
            disk.read_only(False) if read_only else disk.filler.unlink()
        found, stray = left(), [] if done.code == 0 else half_written(out)
        run = args[args.index("--out") + 1]
        again = (*args, "--resume") if args[0] == "train" and "--resume" not in args and (run / "run.json").exists() else args
        how = "read-only" if read_only else "full"
        if done.code not in (0, 1) or (done.code == 1 and not one_error(done)):
            tally.broke(trial, f"{how}: {told(done)}")
        elif stray or (done.code and not in_steps and found != there) or (done.code == 0 and found != right):
            tally.broke(trial, f"{how}: {told(done)}: half-written {stray}, changed {differs(found, there)}")
        elif (after := world.run(*again)).code != 0 or left() != right:
            tally.broke(trial, f"{how}, then not: {told(after)}: differs in {differs(left(), right)}")
        else:
            tally.add("one line of error" if done.code else "done all the same")
    return tally


def of_serve(world, disk, count):
    """The disk fills under a server: events get 503, lists are answered, and when there is room again events are kept."""
    tally, store = Tally("serve on a full or read-only disk"), disk.folder / "out/events.sqlite"
    event = {"user": "anna", "item": "3", "kind": "take"}
    for trial in range(count):
        fresh(store.parent).mkdir()
        server = Server(world, world / "run", store, log=f"server-{trial}.log")
        acknowledged, answers = set(), []

        def tell(key):
            status, answer = server.ask("POST", "/v1/events", event | {"key": key})
            answers.append(status)
            if status == 200:
                acknowledged.add(key)
            return status, answer

        tell("room")
        disk.fill(world.random("serve", trial).randrange(1 << 16) if trial else 0)
        refused = [key for key in (f"full-{n}" for n in range(100)) if (503, "store") == code(tell(key))]
        lists = {server.ask("GET", "/v1/users/1/recommendations")[0] for _ in range(5)}
        disk.filler.unlink()
        end = time.monotonic() + 5
        while tell("again")[0] != 200 and time.monotonic() < end:
            time.sleep(0.1)
        server.kill()
        database = sqlite3.connect(store)
        keys = {key for (key,) in database.execute("SELECT key FROM events")}
        whole = database.execute("PRAGMA integrity_check").fetchone()[0]
        database.close()
        if set(answers) - {200, 503} or lists != {200} or not {"room", "again"} <= acknowledged or server.panics():
            tally.broke(trial, f"events {sorted(set(answers))}, lists {lists}, acknowledged {len(acknowledged)}, {server.panics()[:1]}")
        elif acknowledged - keys or keys & set(refused) or whole != "ok":
            tally.broke(trial, f"lost {acknowledged - keys}, refused and there {keys & set(refused)}, integrity_check {whole}")
        else:
            tally.add("503, then kept" if 503 in answers else "room enough")
    fresh(store.parent).mkdir()
    disk.read_only(True)
    done = world.run("serve", world / "run", "--address", "127.0.0.1:0", "--store", f"sqlite:{store}")
    disk.read_only(False)
    tally.add("one line of error") if done.code == 1 and one_line(done) else tally.broke("read-only", told(done))
    return tally


def code(answer):
    """(status, code of the error) of an answer."""
    status, content = answer
    return status, content["error"]["code"] if status >= 400 else None


def attack(world, count):
    """`count` is how often the disk is full under each command."""
    tally = Tally("full and read-only disk")
    try:
        disk = Disk(world / "disk")
    except (OSError, subprocess.CalledProcessError):
        tally.note("skipped: no disk can be mounted here, which needs root")
        yield tally
        return
    try:
        for name, args, older, in_steps in cases(world, disk):
            yield of(world, disk, name, args, older, in_steps, count)
        yield of_serve(world, disk, count)
    finally:
        disk.close()
