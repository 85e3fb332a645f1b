"""Eight clients for a while: reads, events, deletions, bad JSON, reloads of newer checkpoints. Nobody hears 5xx."""

import collections
import http.client
import threading
import time

from server import Server
from world import Tally, memory, open_files, percentile

COUNT, QUICK = 120, 6
CLIENTS = 8


def draw(rng):
    """(kind, method, target, body)"""
    user, item = rng.choice((str(rng.randrange(651)), f"new-{rng.randrange(200)}")), str(rng.randrange(1468))
    top = rng.choice((10, 20, 100))
    event = {"user": user, "item": item, "kind": rng.choice(("take", "like", "dislike", "remove"))}
    basket = {"items": [str(rng.randrange(1468)) for _ in range(5)], "top": top}
    basket |= {"diversity": rng.choice((0, 0.3)), "reasons": rng.choice((0, 2))}
    return rng.choices(
        (
            ("read", "GET", f"/v1/users/{user}/recommendations?top={top}", None),
            ("read", "GET", f"/v1/items/{item}/similar?top={top}", None),
            ("read", "GET", f"/v1/users/{user}/history", None),
            ("read", "POST", "/v1/recommendations", basket),
            ("read", "GET", rng.choice(("/v1/items?query=story", "/metrics", "/v1/model", "/health/ready", "/openapi.json")), None),
            ("event", "POST", "/v1/events", rng.choice((event, {"events": [event] * rng.randrange(1, 50)}))),
            ("delete", "DELETE", f"/v1/users/{user}", None),
            ("bad", "POST", rng.choice(("/v1/events", "/v1/recommendations")), rng.choice(("{", "[]", '{"user": 1}', "", "nul\0"))),
            ("reload", "POST", "/v1/model/reload", None),
        ),
        (30, 10, 10, 10, 5, 25, 3, 6, 1),
    )[0]


def client(server, rng, end, latencies, statuses, errors):
    connection = server.connect()
    while time.monotonic() < end:
        kind, method, target, body = draw(rng)
        begun = time.monotonic()
        try:
            status, answer = server.ask(method, target, body, connection=connection)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # A server ends a connection after some requests; it says so in the answer before, which http.client heeds.
            errors.append(f"{method} {target}: {error!r}")
            if not server.alive():
                return
            continue
        latencies.append(time.monotonic() - begun)
        statuses[status] += 1
        expected = (400, 415, 422) if kind == "bad" else (200, 202, 404)
        if status not in expected:
            errors.append(f"{method} {target}: {status} {str(answer)[:200]}")


def attack(world, count):
    """`count` is seconds. Every ten seconds another run takes the place of the one that is served."""
    tally, run, store = Tally(f"{count} s of eight clients"), world / "run", world / "events.sqlite"
    data = world.bundled()
    for name, seed in (("run", 0), ("other", 1)):
        world.must("train", "lightgcn", "--data", data, "--out", world / name, "--set", "epochs=3", "--seed", seed)
    server = Server(world, run, store, quiet=False)
    pid, statuses, errors, latencies, samples = server.child.pid, [], [], [], []
    end = time.monotonic() + count
    threads = []
    for number in range(CLIENTS):
        statuses.append(collections.Counter()), latencies.append([])
        args = (server, world.random("soak", number), end, latencies[-1], statuses[-1], errors)
        threads.append(threading.Thread(target=client, args=args))
    for thread in threads:
        thread.start()
    swapped = time.monotonic()
    while time.monotonic() < end and server.alive():
        samples.append((memory(pid)[0], open_files(pid)))
        time.sleep(min(1, count / 4))
        if time.monotonic() - swapped > min(10, count / 3):
            swap(world)
            swapped = time.monotonic()
    for thread in threads:
        thread.join()
    if not server.alive():
        tally.broke("-", "the server died")
        yield tally
        return
    version = server.ask("GET", "/v1/model")[1]["version"]
    most = memory(pid)[1]
    server.kill()
    for status, times in sorted(sum(statuses, collections.Counter()).items()):
        tally.add(f"{status // 100}xx", times)
    tally.results.setdefault("5xx", 0)
    for problem in errors + server.panics():
        tally.broke("-", problem)
    every = [second for seconds in latencies for second in seconds]
    tally.note(f"p50 {1000 * percentile(every, 0.5):.1f} ms, p99 {1000 * percentile(every, 0.99):.1f} ms")
    # The first seconds warm up what is allocated once.
    warm = samples[len(samples) // 4 :] or samples
    memories, files = [m for m, _ in warm], [f for _, f in warm]
    tally.note(f"memory {min(memories)} to {max(memories)} MiB, {most} at most, files {min(files)} to {max(files)}")
    tally.note(f"{version} checkpoints, log {server.log.stat().st_size / max(1, len(every)):.0f} bytes per request")
    yield tally


def swap(world):
    """Puts the other run where the served one is, as an update does."""
    aside = world / "aside"
    (world / "run").rename(aside)
    (world / "other").rename(world / "run")
    aside.rename(world / "other")
