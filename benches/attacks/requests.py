"""Random requests to every route, and heads that are none: never a 5xx, never a panic, never an answer to a request inside another."""

import http.client
import json
import urllib.parse

import heads
from server import Server
from world import Tally, memory

COUNT, QUICK = 40_000, 1_000
KEYS = "user item kind key time events items allow deny top model text features modality category diversity reasons exclude_seen".split()
METHODS = "GET GET GET POST POST DELETE PUT PATCH HEAD OPTIONS".split()
KINDS = ["application/json"] * 4 + ["image/png", "image/jpeg", "text/plain", "application/x-www-form-urlencoded", "a/b; c=\"", ""]
EXAMPLES = {
    "/v1/events": {"user": "anna", "item": "3", "kind": "take", "key": "k", "time": 1},
    "/v1/recommendations": {"items": ["1", "2"], "top": 5, "deny": ["3"], "reasons": 1, "diversity": 0.5},
    "/v1/items/search": {"text": "story", "top": 3},
}


def text(rng):
    """A text that is an id, a word of the interface, or trouble."""
    letters = "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD7FF), 0, 0x202E))) for _ in range(rng.randrange(12)))
    words = (str(rng.randrange(2000)), rng.choice(KEYS), "take", "", "..", "%2e%2e/", "' OR 1=1 --", "x" * rng.randrange(5000), letters)
    return rng.choice(words)


def value(rng, depth=0):
    """Any JSON."""
    if depth < 3 and rng.random() < 0.3:
        if rng.random() < 0.5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
        return {rng.choice((*KEYS, text(rng))): value(rng, depth + 1) for _ in range(rng.randrange(6))}
    number = rng.choice((0, -1, 1, 10, 1000, 2**31, 2**63, -(2**63), 2**64, 10**40, 0.5, -1e-308, 1e308))
    return rng.choice((None, True, False, number, float(rng.randrange(100)), text(rng), text(rng)))


def body(rng, path):
    """Bytes: JSON of any shape, an example with something changed, a part of JSON, or noise."""
    content = dict(EXAMPLES.get(path, {}))
    for _ in range(rng.randrange(3)):
        content[rng.choice(KEYS)] = value(rng)
    if content and rng.random() < 0.3:
        content.pop(rng.choice(sorted(content)))
    whole = json.dumps(rng.choice((content, content, value(rng), {"events": [content] * rng.choice((1, 3, 1001))})))
    whole = whole.encode("utf-8", "surrogatepass")
    how = rng.random()
    if how < 0.7:
        return whole
    if how < 0.8:
        return whole[: rng.randrange(len(whole) + 1)]
    if how < 0.85:
        return b"[" * rng.randrange(20_000)
    return rng.randbytes(rng.randrange(300))


def random_request(rng, routes):
    """(method, target, body, headers)"""
    method, path, operation = rng.choice(routes)
    names = [p for p in operation.get("parameters", ()) if p["in"] == "query"]
    names = [p["name"] if rng.random() < 0.9 else text(rng) for p in names if rng.random() < 0.5]
    query = [(name, rng.choice((text(rng), str(value(rng))))) for name in names]
    content = body(rng, path) if method == "POST" or rng.random() < 0.05 else None
    target = path
    while "{" in target:
        start, end = target.index("{"), target.index("}")
        target = target[:start] + urllib.parse.quote(text(rng).encode("utf-8", "surrogatepass"), safe="") + target[end + 1 :]
    if query:
        target += "?" + urllib.parse.urlencode(query, errors="replace")
    headers = {"Content-Type": rng.choice(KINDS)} if content is not None else {}
    return method if rng.random() < 0.9 else rng.choice(METHODS), target, content, headers


def wrong(method, status, answer):
    """What is wrong with an answer, or None."""
    if status >= 500:
        return f"{status} {answer[:200]!r}"
    if status >= 400 and method != "HEAD":
        try:
            error = json.loads(answer)["error"]
            return None if error["code"] and error["message"] else f"{status} without words"
        except (ValueError, KeyError, TypeError):
            return f"{status} with something else than an error: {answer[:200]!r}"
    return None


def of_json(world, server, count):
    """One connection, as long as the server keeps it."""
    tally = Tally("random requests to every route")
    paths = server.ask("GET", "/openapi.json")[1]["paths"]
    routes = [(method.upper(), path, operation) for path, methods in paths.items() for method, operation in methods.items()]
    connection = server.connect()
    for trial in range(count):
        method, target, content, headers = random_request(world.random("request", trial), routes)
        try:
            connection.request(method, target, content, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            # A refused body may be answered, and the connection closed, while the body is still on its way.
            connection.close()
            tally.add(f"closed ({type(error).__name__})")
            if not server.alive():
                tally.broke(trial, f"the server died of {method} {target[:200]}")
                break
            continue
        if problem := wrong(method, answer.status, said):
            tally.broke(trial, f"{method} {target[:200]}: {problem}")
        else:
            tally.add(f"{answer.status // 100}xx")
    tally.note(f"{len(routes)} routes")
    yield tally


def attack(world, count):
    run, store = world / "run", world / "events.sqlite"
    world.must("train", "lightgcn", "--data", world.bundled(), "--out", run, "--set", "epochs=2")
    server = Server(world, run, store)
    try:
        before = memory(server.child.pid)[0]
        for kind, times in ((of_json, count), (heads.malformed, count // 40), (heads.hidden, 1 + count // 10_000)):
            for tally in kind(world, server, times):
                if server.panics():
                    tally.broke("-", f"panic: {server.panics()[0]}")
                if not server.alive() or server.ask("GET", "/health/ready")[0] != 200:
                    tally.broke("-", "the server is not ready afterwards")
                tally.note("memory {} to {} MiB, {} at most".format(before, *memory(server.child.pid)))
                yield tally
    finally:
        server.kill()
