"""More clients than places that ask and never read: health is answered all the while, and their places come free."""

import collections
import resource
import socket
import threading
import time

from server import Server
from world import Tally, memory, open_files

COUNT, QUICK = 1_030, 1_030
# What health may take with everything full, and until when the places of those that do not read are free.
PROMPT, FREE = 5, 25
KEY = "attack-attack-attack-1"
SIGNED = {"X-Api-Key": KEY}
Answer = collections.namedtuple("Answer", "begun status seconds content")


def ask_and_never_read(port, address, requests):
    """A connection with little room for answers, and many long ones asked for."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(5)
    client.bind((address, 0))
    try:
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET /v1/items?top=1000 HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\n\r\n".encode() * requests)
    except OSError:
        pass
    return client


class Probe(threading.Thread):
    """Asks for health from this machine, and something with a key from another address, until it is told to end."""

    def __init__(self, server):
        super().__init__()
        self.server, self.over, self.health, self.keyed = server, threading.Event(), [], []

    def run(self):
        while not self.over.wait(0.25):
            for found, path, source in ((self.health, "/health/live", "127.0.0.1"), (self.keyed, "/v1/items?top=3", "127.0.0.9")):
                begun = time.monotonic()
                try:
                    status, content = self.server.ask("GET", path, headers=SIGNED, source=source, timeout=PROMPT)
                except OSError as error:
                    status, content = type(error).__name__, ""
                found.append(Answer(begun, status, time.monotonic() - begun, content))

    def end(self):
        self.over.set()
        self.join()


def of(world, server, count, addresses):
    """Clients from so many addresses; from one they are held to its share, from three they take all places."""
    tally = Tally(f"{count:,} clients of {addresses} address{'es' if addresses > 1 else ''} that never read")
    probe, begun = Probe(server), time.monotonic()
    probe.start()
    clients = [ask_and_never_read(server.port, f"127.0.0.{2 + n % addresses}", 40) for n in range(count)]
    connected = time.monotonic()
    while time.monotonic() - connected < FREE:
        time.sleep(0.25)
        asked = (server.ask("GET", "/v1/items?top=3", headers=SIGNED, source=f"127.0.0.{2 + n}", timeout=PROMPT) for n in range(addresses))
        statuses = {status for status, _ in asked}
        if statuses == {200} and open_files(server.child.pid) < count / 4:
            break
    else:
        tally.broke("-", f"{FREE} s later their places are not free: {statuses}")
    free = time.monotonic() - connected
    probe.end()
    most, slowest = memory(server.child.pid)[1], max(answer.seconds for answer in probe.health)
    for client in clients:
        client.close()
    for answer in probe.health:
        if answer.status == 200:
            tally.add("health answered")
        else:
            tally.broke("-", f"health: {answer}")
    for answer in probe.keyed:
        # 503 is an answer too where several addresses take all places together.
        if answer.status == 200 or (answer.status == 503 and addresses > 1):
            tally.add(f"another address {answer.status}")
        else:
            tally.broke("-", f"a request with a key of another address: {answer}")
    tally.note(f"connected in {connected - begun:.1f} s, slowest health {slowest:.2f} s")
    tally.note(f"places free after {free:.0f} s, memory {most} MiB at most")
    if server.panics():
        tally.broke("-", server.panics()[0])
    yield tally


def attack(world, count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    run, key = world / "run", world / "key"
    key.write_text(KEY + "\n")
    world.must("train", "lightgcn", "--data", world.bundled(), "--out", run, "--set", "epochs=2")
    for addresses in (1, 3):
        server = Server(world, run, world / "events.sqlite", "--api-key-file", key, log=f"server-{addresses}.log")
        yield from of(world, server, count, addresses)
        server.kill()
