"""Signals, forks, threads, callbacks, and the program."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from conftest import log

import alike


class Watching(alike.Callback):
    def __init__(self):
        self.seen = []

    def on_train_start(self, run):
        self.seen.append(("start", run["model"], run["epochs"], run["settings"]))

    def on_epoch(self, record):
        self.seen.append(("epoch", record["epoch"], record["valid"] is None))

    def on_train_end(self, model):
        self.seen.append(("end", model.name))


def test_callbacks_hear_everything(data):
    watching, epochs = Watching(), []
    alike.fit("lightgcn", data, epochs=3, dim=8, callbacks=[watching, epochs.append])
    assert watching.seen[0] == ("start", "lightgcn", 3, {"epochs": 3, "dim": 8})
    assert [what[1] for what in watching.seen[1:-1]] == [1, 2, 3] and watching.seen[-1] == ("end", "lightgcn")
    assert [record["epoch"] for record in epochs] == [1, 2, 3]
    with pytest.raises(TypeError, match=r"alike\.Callback or a function"):
        alike.fit("lightgcn", data, callbacks=3)


def test_an_exception_of_a_callback_ends_training_and_it_goes_on(data, tmp_path):
    def enough(record):
        if record["epoch"] == 4:
            raise RuntimeError("enough")

    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="enough"):
        alike.fit("lightgcn", data, out=run, epochs=10, dim=8, callbacks=enough)
    whole = alike.fit("lightgcn", data, epochs=10, dim=8)
    assert alike.fit("lightgcn", data, out=run, epochs=10, dim=8, resume=True).hash == whole.hash


def test_other_threads_go_on_while_a_model_trains(data):
    ticks, done = [0], threading.Event()

    def count():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    begun = time.monotonic()
    alike.fit("lightgcn", data, epochs=60, dim=64)
    took = time.monotonic() - begun
    done.set()
    thread.join()
    assert ticks[0] > 50 * took


def python(code: str, *args: str, **options) -> subprocess.Popen:
    text = textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", text, *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("model", ["lightgcn", "nsmar+"])
def test_ctrl_c_keeps_what_was_reached(data, tmp_path, model):
    run = tmp_path / "run"
    code = """
        import sys, alike
        data = alike.Data.open(sys.argv[1])
        def say(record):
            print(record["epoch"], flush=True)
        try:
            alike.fit(sys.argv[3], data, out=sys.argv[2], epochs=10**5, patience=10**5, callbacks=say)
        except KeyboardInterrupt:
            print("stopped", flush=True)
    """
    process = python(code, str(data.path), str(run), model)
    assert process.stdout.readline().strip() == "1"
    for _ in range(5):
        process.stdout.readline()
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert rest.splitlines()[-1] == "stopped", errors
    assert time.monotonic() - begun < 10
    assert alike.load(run).summary is None


def test_ctrl_c_ends_a_preparation_and_leaves_nothing(tmp_path):
    rows = 3_000_000
    code = """
        import sys, alike, numpy as np
        n = int(sys.argv[2])
        table = {"user": np.arange(n) % 50_000, "item": np.arange(n) * 7 % 20_011}
        print("ready", flush=True)
        try:
            alike.prepare(table, out=sys.argv[1])
        except KeyboardInterrupt:
            print("stopped", flush=True)
    """
    process = python(code, str(tmp_path / "data"), str(rows))
    assert process.stdout.readline().strip() == "ready"
    time.sleep(1)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert rest.split() == ["stopped"], errors
    assert time.monotonic() - begun < 5 and not (tmp_path / "data").exists()


def test_a_forked_child_works(model):
    model.recommend("u1")
    with pytest.MonkeyPatch.context() as patch:
        # Newer Pythons warn of any fork while there are threads.
        import warnings

        patch.setattr(warnings, "showwarning", lambda *args, **options: None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if len(model.recommend(k=2)) == 2 * model.data.n_users else 2
        finally:
            os._exit(code)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_notes_go_to_logging(data, tmp_path, caplog):
    run = alike.fit("lightgcn", data, out=tmp_path / "run", epochs=1)
    # A damaged entry of the cache is noted and built again.
    cache = data.path / "cache"
    cache.mkdir(exist_ok=True)
    code = """
        import logging, sys, alike
        logging.basicConfig(level=logging.WARNING, format="%(name)s %(levelname)s %(message)s")
        from pathlib import Path
        data = alike.Data.open(sys.argv[1])
        alike.fit("nsmar+", data, epochs=1)
        for entry in (Path(sys.argv[1]) / "cache").glob("*.bin"):
            entry.write_bytes(b"damaged")
        alike.fit("nsmar+", data, epochs=1)
    """
    process = python(code, str(data.path))
    _, errors = process.communicate(timeout=60)
    assert run.summary is not None and process.returncode == 0, errors
    if any(cache.glob("*.bin")):
        assert "alike WARNING damaged cache entry" in errors


def alike_program(*args, **options):
    command = [sys.executable, "-m", "alike", *map(str, args)]
    return subprocess.run(command, text=True, capture_output=True, timeout=120, **options)


def test_the_program_makes_the_same_bits(data, model, tmp_path):
    run = tmp_path / "run"
    done = alike_program("train", data.path, "--model", "lightgcn", "--out", run, "--set", "epochs=40", "--set", "dim=16", "--set", "lr=0.01", "--quiet")
    if done.returncode == 2:
        done = alike_program("train", "lightgcn", "--data", data.path, "--out", run, "--set", "epochs=40", "--set", "dim=16", "--set", "lr=0.01", "--quiet")
    assert done.returncode == 0, done.stderr
    again = alike.load(run)
    assert again.hash == model.hash
    best = next(run.glob("best-*.safetensors"))
    assert best.read_bytes() == (model.path / best.name).read_bytes()


def test_the_program_says_what_is_wrong(tmp_path):
    done = alike_program("recommend", tmp_path / "none", "--user", "u1")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no such run folder" in done.stderr
    done = alike_program("--version")
    assert done.returncode == 0 and alike.__version__ in done.stdout


def test_an_experiment_in_one_line(data, tmp_path):
    found = alike.experiment(data, ["popularity", ("LightGCN", "lightgcn", {"dim": 8})], seeds=2, settings={"epochs": 2}, out=tmp_path / "e")
    names = {row["model"] if "model" in row else row["entry"] for row in found.rows}
    assert any("popularity" in name for name in names), names
    assert "tabular" in found.to_latex() and found.pictures
    assert len(found.runs()) == 3
    with pytest.raises(RuntimeError, match="unknown model"):
        alike.experiment(data, ["nothing"])


def test_texts_become_features(data, tmp_path):
    items = tmp_path / "items.csv"
    kinds = ["a red woollen coat", "a blue cotton shirt", "green leather shoes"]
    items.write_text("item,title\n" + "".join(f"{i},{kinds[int(i[1:]) % 3]} {i}\n" for i in data.items))
    report = alike.embed(items, out=tmp_path / "text.safetensors", text="title", dim=16)
    assert report["out"].is_file()
    again = alike.prepare(log(), items=items, features={"text": report["out"]})
    assert again.modalities == {"text": again.modalities["text"]} and again.features("text").shape[0] == again.n_items
    with pytest.raises(RuntimeError, match="no column|column"):
        alike.embed(items, out=tmp_path / "x.safetensors", text="nothing")
    with pytest.raises(FileNotFoundError):
        alike.embed(tmp_path / "none.csv", out=tmp_path / "x.safetensors")


def test_importing_starts_nothing():
    code = "import alike, threading; print(threading.active_count(), len(__import__('os').listdir('/proc/self/task')))"
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("no /proc")
    process = python(code, env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    out, errors = process.communicate(timeout=30)
    assert out.split() == ["1", "1"], errors

