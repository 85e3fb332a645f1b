"""What the driver asks of the machine: card, memory in use, child processes that end in time."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time


def output(*command):
    """What a command prints, or None."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def card():
    """(name, driver) of the first NVIDIA GPU, or None."""
    text = output("nvidia-smi", "-i", "0", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return tuple(part.strip() for part in text.split(",")) if text and "," in text else None


def program():
    """The program to measure: ALIKE, or `alike` in PATH, or the release build here. None if there is none."""
    here = pathlib.Path(__file__).resolve().parents[2] / "target/release/alike"
    for path in (os.environ.get("ALIKE"), shutil.which("alike"), here):
        if path and os.access(path, os.X_OK) and pathlib.Path(path).is_file():
            return str(pathlib.Path(path).resolve())
    return None


class Memory:
    """MiB of the first GPU in use above what was in use at the start, asked every 50 ms."""

    def __init__(self):
        self.base, self.peak, self.process = None, 0, None
        query = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "50"]
        try:
            self.process = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return
        threading.Thread(target=self.follow, daemon=True).start()
        time.sleep(0.5)

    def follow(self):
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.base = int(line) if self.base is None else self.base
                self.peak = max(self.peak, int(line))

    def lap(self):
        """The peak since the last lap, or None where nothing was read."""
        peak, self.peak = self.peak, 0
        return max(0, peak - self.base) if self.base is not None and peak else None

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Failed(Exception):
    """A child that failed; one line."""


def lines(command, seconds, env=None):
    """Runs a command and gives its lines of output as they come. `Failed` when it fails or takes longer."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    late = threading.Event()

    def stop():
        late.set()
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()

    said = []
    reader = threading.Thread(target=lambda: said.extend(child.stderr), daemon=True)
    timer = threading.Timer(max(1, seconds), stop)
    reader.start(), timer.start()
    try:
        yield from child.stdout
        child.wait()
        reader.join(5)
    finally:
        timer.cancel()
        if child.poll() is None:
            child.kill()
            child.wait()
    if late.is_set():
        raise Failed(f"stopped after {seconds:.0f} s")
    if child.returncode != 0:
        text = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip() for line in "".join(said).splitlines()]
        text = [line for line in text if line]
        found = [line for line in text if line.startswith("error")] or text[-1:] or ["said nothing"]
        raise Failed(f"exit {child.returncode}: {found[-1][:300]}")


def run(command, seconds):
    """All of a command's output."""
    return "".join(lines(command, seconds))


def json_lines(command, seconds, env=None):
    """The lines of a command that are JSON objects."""
    for line in lines(command, seconds, env):
        if line.startswith("{"):
            yield json.loads(line)
