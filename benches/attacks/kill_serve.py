"""`kill -9` of a server while clients write events: what was acknowledged is on disk, and the file is whole."""

import http.client
import shutil
import sqlite3
import threading
import time

from server import Server
from world import Tally

CLIENTS = 4


def write(server, name, rng, acknowledged):
    """Writes events, one or some at a time, until the server is gone; keeps the keys of those that it acknowledged."""
    connection, count = server.connect(), 0
    try:
        while True:
            keys = [f"{name}-{count + n}" for n in range(rng.choice((1, 1, 1, 20)))]
            count += len(keys)
            items = [str(rng.randrange(1000)) for _ in keys]
            events = [{"user": name, "item": i, "kind": "take", "key": k} for i, k in zip(items, keys, strict=True)]
            body = events[0] if len(events) == 1 else {"events": events}
            status, answer = server.ask("POST", "/v1/events", body, connection=connection)
            if status != 200 or answer["written"] != len(keys):
                acknowledged.append(f"{status} {answer}")
                return
            acknowledged += keys
    except (OSError, http.client.HTTPException):
        pass


def on_disk(store, copy):
    """(keys, what the integrity check says) of a copy of the store as the kill left it, so that the server's next start has that too."""
    for ending in ("", "-wal", "-shm"):
        if (source := store.with_name(store.name + ending)).exists():
            shutil.copy(source, copy.with_name(copy.name + ending))
    database = sqlite3.connect(copy)
    try:
        keys = {key for (key,) in database.execute("SELECT key FROM events")}
        return keys, database.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        database.close()


def attack(world, count):
    """One store through all kills; every server but the first finds what a kill left."""
    tally, run, store = Tally("kill -9 of serve under four writing clients"), world / "served", world / "events.sqlite"
    world.must("train", "lightgcn", "--data", world.bundled("data-served"), "--out", run, "--set", "epochs=2")
    acknowledged, found = [], set()
    for trial in range(count):
        rng = world.random("serve", trial)
        server = Server(world, run, store)
        clients = []
        for client in range(CLIENTS):
            heard = []
            args = (server, f"{trial}-{client}", world.random("serve", trial, client), heard)
            clients.append((threading.Thread(target=write, args=args), heard))
        for thread, _ in clients:
            thread.start()
        time.sleep(rng.uniform(0.2, 3))
        server.kill()
        for thread, heard in clients:
            thread.join()
            acknowledged += heard
        found, integrity = on_disk(store, world / "copy.sqlite")
        lost = [key for key in acknowledged if key not in found]
        if integrity != "ok" or lost or server.panics():
            tally.broke(trial, f"integrity_check {integrity}, lost or refused {len(lost)}: {lost[:3]}, {server.panics()[:1]}")
        else:
            tally.add("integrity_check ok")
    tally.note(f"acknowledged {len(acknowledged):,}, on disk {len(found):,}, lost {len(set(acknowledged) - found):,}")
    yield tally
