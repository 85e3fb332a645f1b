"""Heads of requests that are none, and requests hidden in the bodies of others."""

import json
import re
import socket

from world import Tally

HEAD = b"GET /v1/items?top=3 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
DAMAGE = ("bytes", "NUL", "long line", "long target", "many fields", "line ends", "lengths", "version", "no host", "pipeline")
STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d)")


def exchange(server, request, silence):
    """All that comes back until the server closes, or says nothing for so many seconds."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=silence) as client:
        try:
            client.sendall(request)
            while part := client.recv(1 << 16):
                answer += part
        except OSError:
            pass
    return answer


def damaged(rng):
    """(what is wrong, the bytes)"""
    name = rng.choice(DAMAGE)
    head = bytearray(HEAD)
    if name == "bytes":
        for _ in range(rng.randrange(1, 6)):
            head[rng.randrange(len(head) - 4)] = rng.randrange(256)
    elif name == "NUL":
        head.insert(rng.randrange(len(head) - 4), 0)
    elif name == "long line":
        head = HEAD[:-2] + b"X-Long: " + b"a" * rng.choice((10_000, 100_000, 1_000_000)) + b"\r\n\r\n"
    elif name == "long target":
        head = HEAD.replace(b"top=3", b"query=" + b"a" * rng.choice((1_000, 70_000, 1_000_000)))
    elif name == "many fields":
        head = HEAD[:-2] + b"".join(b"X-%d: 1\r\n" % n for n in range(rng.choice((90, 101, 5_000)))) + b"\r\n"
    elif name == "line ends":
        head = HEAD.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\n\r", b"\r\n ", b"\r\r\n")), rng.randrange(1, 4)) + b"\r\n\r\n"
    elif name == "lengths":
        field = rng.choice(("-1", "+5", "5, 6", "0x5", "99999999999999999999", "", "5 5", "1e1", "5\r\nContent-Length: 6"))
        head = f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {field}\r\n\r\n12345".encode()
    elif name == "version":
        head = HEAD.replace(b"HTTP/1.1", rng.choice((b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b"")))
    elif name == "no host":
        head = HEAD.replace(b"Host: localhost", rng.choice((b"Host:", b"Host: evil.example", b"Host: a\r\nHost: b", b"X: y")))
    else:
        head = HEAD * rng.randrange(2, 100) + rng.randbytes(40)
    return name, bytes(head)


def malformed(world, server, count):
    tally = Tally("malformed heads")
    for trial in range(count):
        name, request = damaged(world.random("head", trial))
        # Nothing more comes after an answer: what is malformed ends the connection; what is not may wait for more.
        answer = exchange(server, request, 0.1)
        statuses = [int(code) for code in STATUS.findall(answer)]
        # 505 is the one right answer to a version that the server does not speak.
        if bad := [code for code in statuses if code >= 500 and (code, name) != (505, "version")]:
            tally.broke(trial, f"{name}: {bad[0]} to {request[:120]!r}")
        else:
            tally.add("refused" if any(code >= 400 for code in statuses) else "answered" if statuses else "closed or waited for")
    yield tally


def carriers(inner):
    """Requests whose end two readers see at different places, by name; `inner` stands where one of them sees a second request."""
    length, chunked = len(inner), b"0\r\n\r\n" + inner
    fields = {
        "two lengths, none first": (f"Content-Length: 0\r\nContent-Length: {length}", inner),
        "two lengths, none last": (f"Content-Length: {length}\r\nContent-Length: 0", inner),
        "list of lengths": (f"Content-Length: 0, {length}", inner),
        "signed length": ("Content-Length: +0", inner),
        "hexadecimal length": ("Content-Length: 0x0", inner),
        "length with a blank": (f"Content-Length : {length}", inner),
        "negative length": ("Content-Length: -1", inner),
        "length and chunks": (f"Content-Length: {len(chunked)}\r\nTransfer-Encoding: chunked", chunked),
        "chunks and length": (f"Transfer-Encoding: chunked\r\nContent-Length: {len(chunked)}", chunked),
        "chunks with a blank": (f"Transfer-Encoding : chunked\r\nContent-Length: {len(chunked)}", chunked),
        "folded chunks": (f"Transfer-Encoding:\r\n chunked\r\nContent-Length: {len(chunked)}", chunked),
        "chunks, then identity": (f"Transfer-Encoding: chunked, identity\r\nContent-Length: {len(chunked)}", chunked),
        "unknown coding": (f"Transfer-Encoding: xchunked\r\nContent-Length: {len(chunked)}", chunked),
        "size beyond all": ("Transfer-Encoding: chunked", b"10000000000000000\r\n" + inner),
        "signed size": ("Transfer-Encoding: chunked", b"-0\r\n\r\n" + inner),
        "size ends bare": ("Transfer-Encoding: chunked", b"0;a\n\n" + inner),
        "NUL in a field": (f"X: a\0b\r\nContent-Length: {length}", inner),
        "body of a GET": (f"Content-Length: {length}", inner),
    }
    requests = {}
    for name, (lines, content) in fields.items():
        line = "GET /v1/items?top=1" if name == "body of a GET" else "POST /v1/recommendations"
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}\r\n\r\n"
        requests[name] = head.encode() + content
    return requests


def hidden(world, server, rounds):
    """The hidden request writes an event, which the history of its user would tell."""
    tally = Tally("requests hidden in others")
    for trial in range(rounds):
        for number, name in enumerate(carriers(b"")):
            user = f"hidden-{trial}-{number}"
            event = json.dumps({"user": user, "item": "3", "kind": "take"})
            fields = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(event)}"
            inner = f"POST /v1/events HTTP/1.1\r\n{fields}\r\n\r\n{event}".encode()
            answers = len(STATUS.findall(exchange(server, carriers(inner)[name], 0.5)))
            status, history = server.ask("GET", f"/v1/users/{user}/history")
            if answers > 1 or (status == 200 and history["count"]):
                tally.broke(trial, f"{name}: {answers} answers, history {status} {str(history)[:100]}")
            else:
                tally.add("one answer" if answers else "closed")
    yield tally
