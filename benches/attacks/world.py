"""A folder to work in: data, the program run on them, what lies in folders afterwards, and the tally of an attack."""

import collections
import csv
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "crates/alike-cli/data/ml_small"
# No command here needs as long.
LIMIT = 120

Done = collections.namedtuple("Done", "code out err seconds")


def one_line(done):
    """Whether a failure says one line, which begins with `error: `."""
    return done.err.startswith("error: ") and done.err.count("\n") == 1


def told(done):
    """How a command ended, in few words."""
    return f"exit {done.code}: {done.err.strip()[-300:]!r}"


class World:
    """A temporary folder, the program, and randomness by name."""

    def __init__(self, program, seed):
        self.program, self.seed = pathlib.Path(program).resolve(), seed
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="alike-attacks-"))

    def close(self):
        shutil.rmtree(self.folder)

    def __truediv__(self, name):
        return self.folder / name

    def random(self, *name):
        """Randomness of a trial of its own, so that one trial can be repeated without those before it."""
        return random.Random("/".join(map(str, (self.seed, *name))))

    def start(self, *args, quiet=True, **more):
        """The program; what it says comes by pipes."""
        args = (*args, "--quiet") if quiet else args
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen([self.program, *map(str, args)], text=True, **pipes)

    def run(self, *args, **more):
        """The program until it ends. A command that hangs is a bug: it is killed, and `TimeoutExpired` ends everything."""
        begun, child = time.monotonic(), self.start(*args, **more)
        try:
            out, err = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        return Done(child.returncode, out or "", err or "", time.monotonic() - begun)

    def must(self, *args):
        """A command that nobody disturbs."""
        done = self.run(*args)
        if done.code != 0:
            raise SystemExit(f"error: alike {' '.join(map(str, args))}: {told(done)}")
        return done

    def bundled(self, name="data"):
        """MovieLens small, prepared."""
        self.must(*prepare(self / name))
        return self / name

    def killed(self, args, wait):
        """Starts a command, waits as `wait(child)` does, and kills it. Whether there was something to kill."""
        child = self.start(*args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait(child)
        child.kill()
        return child.wait() == -signal.SIGKILL


def prepare(out, *more):
    """Arguments that prepare MovieLens small, without its pictures."""
    files = ("--interactions", DATA / "ml_small.inter", "--feature", f"text={DATA / 'text_feat.npy'}", "--items", DATA / "items.jsonl")
    return ("prepare", *files, "--out", out, *more)


EXPERIMENT = """title = "Attacked"
seeds = [1, 2]
[settings]
epochs = 5
[[data]]
name = "Small"
interactions = "{data}/ml_small.inter"
[[models]]
name = "Popularity"
model = "popularity"
[[models]]
name = "MF"
model = "bpr"
[[models]]
name = "LightGCN"
model = "lightgcn"
"""


def experiment(world):
    """A file for `alike experiment`: five runs of a second at most."""
    file = world / "attacked.toml"
    file.write_text(EXPERIMENT.format(data=DATA))
    return file


def interactions(path, rng, users, items, each):
    """Interactions at random, of two tastes."""
    with open(path, "w") as file:
        file.write("user\titem\n")
        for user in range(users):
            taken = rng.sample(range(user % 2, items, 2), min(each, items // 2))
            file.writelines(f"{user}\t{item}\n" for item in taken)


def features(path, rng, rows, width):
    """A matrix of random numbers as a `.npy` file, version 1."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    head += " " * (-(11 + len(head)) % 64) + "\n"
    values = struct.pack(f"<{rows * width}f", *(rng.gauss(0, 1) for _ in range(rows * width)))
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values)


def without_times(text):
    """JSON, or lines of JSON, without members that clocks decide, and without the hashes that cover those."""

    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if not k.endswith("seconds") and k != "blake3"}
        return [strip(v) for v in value] if isinstance(value, list) else value

    try:
        return json.dumps(strip(json.loads(text)))
    except ValueError:
        return "\n".join(json.dumps(strip(json.loads(line))) for line in text.splitlines())


def seen(folder):
    """Files below a folder by name, without what clocks write into them."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        found[str(path.relative_to(folder))] = without_times(content.decode()) if path.suffix in (".json", ".jsonl") else content
    return found


def lasting(folder):
    """What is seen, without reports, which have times, and without what is only there for speed. Of the table of an experiment the
    columns that neither clock nor machine decides."""
    passing = re.compile(r"report\.html$|results\.parquet$|(^|/)cache/|usage\.json$|lock$")
    found = {name: content for name, content in seen(folder).items() if not passing.search(name)}
    for name in found:
        if name.endswith("results.csv"):
            rows = csv.DictReader(found[name].decode().splitlines())
            found[name] = [{k: v for k, v in row.items() if not k.endswith(("seconds", "memory_bytes"))} for row in rows]
    return found


def differs(found, expected):
    """Names of files in which two folders differ."""
    return [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]


def half_written(folder):
    """Names below a folder that only unfinished work has. (`.part` of `alike embed` is what it has done so far, to go on from.)"""
    names = (str(p.relative_to(folder)) for p in folder.rglob("*"))
    return [n for n in names if "writing-" in n or n.endswith(".tmp")]


def fresh(path):
    """Removes what is there."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return path


class Tally:
    """What came of the trials of one kind."""

    def __init__(self, attack):
        self.attack, self.results, self.broken, self.notes = attack, collections.Counter(), [], []

    def add(self, result, count=1):
        self.results[result] += count

    def broke(self, trial, what):
        """A promise that was not kept."""
        self.add("BROKEN")
        self.broken.append(f"{self.attack}, trial {trial}: {what}")

    def note(self, text):
        self.notes.append(text)

    def line(self):
        results = ", ".join([f"{result} {count:,}" for result, count in self.results.items()] + self.notes)
        return f"{self.attack}: {sum(self.results.values()):,}: {results}"


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def memory(pid):
    """(MiB in memory, most MiB so far) of a process."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return tuple(int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
