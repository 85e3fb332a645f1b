"""`alike serve`, started for an attack, and ways to ask it."""

import http.client
import json
import pathlib
import socket
import subprocess


class Server:
    """A server of a run at a free port. Its log goes to a file."""

    def __init__(self, world, run, store, *flags, quiet=True, log="server.log"):
        self.log = world / log
        args = ("serve", run, "--address", "127.0.0.1:0", "--store", f"sqlite:{store}", *flags)
        with open(self.log, "a") as file:
            self.child = world.start(*args, quiet=quiet, stdout=subprocess.PIPE, stderr=file)
        said = self.child.stdout.readline()
        if not said.startswith("listening on "):
            self.child.wait()
            raise OSError(f"exit {self.child.returncode}: {pathlib.Path(self.log).read_text()[-300:]!r}")
        self.port = int(said.rsplit(":", 1)[1])

    def connect(self, timeout=30, source=None):
        """A connection that is kept; `source` is the client's address, any of 127.0.0.0/8."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=(source, 0) if source else None)

    def ask(self, method, path, body=None, headers=None, connection=None, source=None, timeout=30):
        """(status, JSON or bytes) of one request, by default on a connection of its own."""
        own = connection or self.connect(timeout, source)
        headers = dict(headers or {})
        if not isinstance(body, (bytes, str, type(None))):
            body = json.dumps(body)
        if body is not None or method == "POST":
            headers.setdefault("Content-Type", "application/json")
        try:
            own.request(method, path, body, headers)
            answer = own.getresponse()
            text = answer.read()
        finally:
            if connection is None:
                own.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def raw(self, request, wait=2.0):
        """All that comes back for bytes as they are, until the server closes or says nothing for `wait` seconds."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as client:
            answer = b""
            try:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                while part := client.recv(65536):
                    answer += part
            except OSError:
                pass
            return answer

    def panics(self):
        """Lines of the log that tell of a panic."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if "panicked" in line]

    def alive(self):
        return self.child.poll() is None

    def kill(self):
        """`kill -9`."""
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
