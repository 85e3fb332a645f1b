"""Restarts two servers one after the other behind nginx and Caddy, then kills one, while clients ask and write. No list may fail, and an event that
does is written when it is sent again.

    python3 deploy/proxy/try.py PROGRAM RUN

Takes what there is of nginx and caddy, with the files beside this one; needs openssl. Two minutes. Each server has a store of its own here: what is
looked at is whether requests are answered.
"""

import collections
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = "recommend.example.com"
READ, WRITE = "read-0123456789abcdef", "write-0123456789abcdef"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, program, run, scratch):
        self.port = free_port()
        self.command = [program, "serve", run, "--quiet", "--address", f"127.0.0.1:{self.port}", "--drain", "10"]
        self.command += ["--api-keys", scratch / "keys", "--store", f"sqlite:{scratch}/{self.port}.sqlite"]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.1)
        raise AssertionError("the server is not ready")

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def nginx(scratch, port, servers):
    settings = (HERE / "nginx.conf").read_text()
    settings = settings.replace("/etc/ssl/recommend.pem", f"{scratch}/cert.pem").replace("/etc/ssl/private/recommend.key", f"{scratch}/key.pem")
    settings = settings.replace("listen 443", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{servers[0].port}")
    settings = settings.replace("# server 127.0.0.1:8081 …", f"server 127.0.0.1:{servers[1].port} max_fails=1 fail_timeout=1s;")
    (scratch / "alike.conf").write_text(settings)
    folders = "".join(f"{kind}_temp_path {kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    user = "user root;" if os.geteuid() == 0 else ""
    (scratch / "nginx.conf").write_text(f"{user} daemon off; pid pid; error_log error.log; events {{}} http {{ access_log off; {folders} include alike.conf; }}")
    return ["nginx", "-p", scratch, "-c", scratch / "nginx.conf"]


def caddy(scratch, port, servers):
    settings = (HERE / "Caddyfile").read_text()
    settings = settings.replace(f"\n{NAME} {{", f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {scratch}/cert.pem {scratch}/key.pem")
    settings = settings.replace("reverse_proxy 127.0.0.1:8080", f"reverse_proxy 127.0.0.1:{servers[0].port} 127.0.0.1:{servers[1].port}")
    (scratch / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + settings)
    return ["caddy", "run", "--config", scratch / "Caddyfile", "--adapter", "caddyfile"]


class Clients:
    """Four that ask without a pause until they are told to stop."""

    def __init__(self, port, certificate):
        self.port, self.counts, self.over = port, collections.Counter(), threading.Event()
        self.local = threading.local()
        self.trust = ssl.create_default_context(cafile=certificate)
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def connect(self):
        connection = http.client.HTTPSConnection(NAME, self.port, context=self.trust, timeout=10)
        connection._create_connection = lambda *_: socket.create_connection(("127.0.0.1", self.port), 10)
        return connection

    def send(self, path, key, body):
        """The status of an answer; a connection per client is kept as long as it lasts."""
        time.sleep(0.005)
        try:
            self.local.connection = getattr(self.local, "connection", None) or self.connect()
            self.local.connection.request("POST", path, json.dumps(body), {"X-Api-Key": key, "content-type": "application/json"})
            answer = self.local.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            self.local.connection = None
            return type(error).__name__

    def ask(self, number):
        asked = 0
        while not self.over.is_set():
            asked += 1
            if asked % 5:
                self.counts["list", self.send("/v1/recommendations", READ, {"items": ["1"]})] += 1
                continue
            event = {"user": f"client-{number}", "item": "1", "kind": "view", "key": f"{number}-{asked}"}
            answer = self.send("/v1/events", WRITE, event)
            if answer != 200:
                self.counts["event, at first", answer] += 1
                answer = self.send("/v1/events", WRITE, event)
            self.counts["event", answer] += 1

    def stop(self, what):
        self.over.set()
        for thread in self.threads:
            thread.join()
        print(f"{what}: " + ", ".join(f"{kind} {status}: {count}" for (kind, status), count in sorted(self.counts.items(), key=str)), flush=True)
        failed = [of for of in self.counts if of[1] != 200 and of[0] != "event, at first"]
        assert not failed and self.counts["list", 200] and self.counts["event", 200], failed


def main(program, run):
    tried = 0
    for name, settings in [("nginx", nginx), ("caddy", caddy)]:
        if shutil.which(name) is None:
            print(f"not tried: {name}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            (scratch / "keys").write_text(f"reader read {READ}\nwriter read,write {WRITE}\n")
            made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
            subprocess.run([*made, "-keyout", scratch / "key.pem", "-out", scratch / "cert.pem"], check=True, capture_output=True)
            servers = [Server(program, run, scratch) for _ in range(2)]
            port = free_port()
            home = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
            proxy = subprocess.Popen(settings(scratch, port, servers), env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(3)
                clients = Clients(port, scratch / "cert.pem")
                for server in servers:
                    time.sleep(2)
                    server.end()
                    server.start()
                time.sleep(2)
                clients.stop(f"{name}, two servers restarted")
                clients = Clients(port, scratch / "cert.pem")
                time.sleep(2)
                servers[0].end(signal.SIGKILL)
                time.sleep(6)
                clients.stop(f"{name}, one of two killed")
                tried += 1
            finally:
                proxy.terminate()
                proxy.wait()
                for server in servers:
                    server.end(signal.SIGKILL)
    assert tried, "there is neither nginx nor Caddy"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
