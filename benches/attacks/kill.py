"""`kill -9` at random moments: what was done is there, the same command ends as if nothing had happened, nothing is left over."""

import os
import time

import kill_serve
from world import DATA, Tally, differs, experiment, fresh, half_written, lasting, prepare, seen, told

COUNT, QUICK = 15, 1


def after(seconds):
    return lambda child: time.sleep(seconds)


def when(there, seconds):
    """Waits until something is there, then so many seconds."""

    def wait(child):
        while child.poll() is None and not there():
            time.sleep(0.0002)
        time.sleep(seconds)

    return wait


def of_prepare(world, count):
    """Over older data; every other time from the moment on at which the new ones are being written."""
    tally, out = Tally("kill -9 of prepare over older data"), world / "prepared/data"
    old, new = prepare(out, "--split", "random"), prepare(out, "--split", "random", "--seed", "1")
    world.must(*new)
    after_new = seen(out)
    whole = world.must(*old).seconds
    before = seen(out)
    for trial in range(count):
        rng = world.random("prepare", trial)
        writing = when(lambda: len(os.listdir(out.parent)) > 1, rng.uniform(0, whole / 2))
        killed = world.killed(new, writing if trial % 2 else after(rng.uniform(0, whole)))
        found = seen(out) if out.is_dir() else None
        state = "old whole" if found == before else "new whole" if found == after_new else None
        again = world.run(*new)
        if state is None:
            tally.broke(trial, f"the folder is neither old nor new, but in {differs(found or {}, before)}")
        elif again.code != 0 or seen(out) != after_new:
            tally.broke(trial, f"the same command gives something else: exit {again.code}")
        elif left := [p.name for p in out.parent.iterdir() if p != out]:
            tally.broke(trial, f"left over: {left}")
        else:
            tally.add(state if killed else "ended before")
        world.must(*old)
    yield tally


def of_train(world, count):
    """Two of three are killed again while they resume."""
    tally, run = Tally("kill -9 of train lightgcn"), world / "run"
    command = ("train", "lightgcn", "--data", world.bundled(), "--out", run, "--set", "epochs=12", "--set", "eval_every=1")
    whole = world.must(*command).seconds
    right = seen(run)

    def go_on():
        return (*command, "--resume") if (run / "run.json").exists() else command

    for trial in range(count):
        rng = world.random("train", trial)
        fresh(run)
        killed = world.killed(command, after(rng.uniform(0, whole)))
        again = trial % 3 != 2 and world.killed(go_on(), after(rng.uniform(0, whole / 2)))
        done = world.run(*go_on())
        if done.code != 0:
            tally.broke(trial, f"it does not go on: {told(done)}")
        elif names := differs(seen(run), right):
            tally.broke(trial, f"differs from the undisturbed run in {names}")
        else:
            tally.add("as undisturbed, killed twice" if killed and again else "as undisturbed" if killed or again else "ended before")
    yield tally


def of_embed(world, count):
    tally, folder = Tally("kill -9 of embed --batch 16"), world / "features"
    folder.mkdir()
    command = ("embed", "--items", DATA / "items.jsonl", "--dim", "32", "--batch", "16", "--out", folder / "text.safetensors")
    whole = world.must(*command).seconds
    right = seen(folder)
    for trial in range(count):
        for path in folder.iterdir():
            path.unlink()
        rng = world.random("embed", trial)
        begun = when(lambda: (folder / "text.safetensors.part").exists(), rng.uniform(0, whole / 4))
        killed = world.killed(command, begun if trial % 2 else after(rng.uniform(0, whole)))
        done = world.run(*command)
        if done.code != 0 or seen(folder) != right:
            tally.broke(trial, f"{told(done)}, differs in {differs(seen(folder), right)}")
        else:
            tally.add("the same bytes" if killed else "ended before")
    yield tally


def of_experiment(world, count):
    tally, out = Tally("kill -9 of experiment"), world / "experiment"
    command = ("experiment", experiment(world), "--out", out)
    whole = world.must(*command).seconds
    right = lasting(out)
    for trial in range(count):
        fresh(out)
        killed = world.killed(command, after(world.random("experiment", trial).uniform(0, whole)))
        # At once: a run of the killed experiment may still be ending.
        done = world.run(*command)
        if done.code != 0:
            tally.broke(trial, f"it does not go on: {told(done)}")
        elif names := differs(lasting(out), right) + half_written(out):
            tally.broke(trial, f"other results, or something half-written: {names}")
        else:
            tally.add("the same results" if killed else "ended before")
    yield tally


def attack(world, count):
    """More often what takes less time."""
    for kind, times in ((of_prepare, 4), (of_train, 2), (of_embed, 1), (of_experiment, 1), (kill_serve.attack, 1)):
        yield from kind(world, times * count)
