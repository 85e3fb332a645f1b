"""One bit of one file of the prepared folder or the run folder turns over: the program notices, or its answers are those that they were."""

import shutil

from world import Tally, features, fresh, interactions, one_line, seen, told

COUNT, QUICK = 1_000, 10


def make(world, base):
    """Seeded data with features, a catalogue and a graph in the cache, and a run that can be trained longer."""
    rng = world.random("data")
    interactions(world / "flips.inter", rng, users=80, items=60, each=12)
    features(world / "flips.npy", rng, rows=60, width=8)
    titles = (f'{{"item_id": {i}, "title": "Thing {rng.randrange(1000)} of {i}"}}\n' for i in range(60))
    (world / "flips.jsonl").write_text("".join(titles))
    data = ("--interactions", world / "flips.inter", "--feature", f"text={world / 'flips.npy'}", "--items", world / "flips.jsonl")
    world.must("prepare", *data, "--out", base / "data")
    world.must(*train(base, 3))


def train(base, epochs):
    settings = ("--set", "dim=8", "--set", "batch=64", "--set", f"epochs={epochs}")
    return ("train", "lattice", "--data", base / "data", "--out", base / "run", *settings)


def commands(base):
    """Commands whose answers are compared; the last changes the run."""
    run = base / "run"
    yield "evaluate", ("evaluate", run, "--json")
    yield "recommend --user", ("recommend", run, "--user", "7", "--json")
    yield "recommend --all", ("recommend", run, "--all", "--out", base / "all.csv")
    yield "similar", ("similar", run, "--item", "9", "--json")
    yield "train --resume", (*train(base, 5), "--resume")


def answers(world, base):
    """(what each command answered, what went wrong with the first that noticed, a promise that was not kept)."""
    said, noticed = {}, None
    for name, command in commands(base):
        done = world.run(*command)
        if done.code == 0:
            said[name] = done.out if "--json" in command else None
        elif done.code == 1 and one_line(done):
            noticed = noticed or done.err.strip()
        else:
            return said, noticed, f"{name}: {told(done)}"
    if "recommend --all" in said:
        said["recommend --all"] = (base / "all.csv").read_bytes()
    if "train --resume" in said:
        said["train --resume"] = seen(base / "run")
    return said, noticed, None


def attack(world, count):
    tally, base, whole = Tally("one bit flipped, answers compared"), world / "trial", world / "whole"
    base.mkdir()
    make(world, base)
    shutil.copytree(base, whole)
    right, noticed, broken = answers(world, base)
    if noticed or broken:
        raise SystemExit(f"error: undisturbed: {noticed or broken}")
    files = sorted(p for folder in ("data", "run") for p in (whole / folder).rglob("*") if p.is_file() and p.stat().st_size)
    for trial in range(count):
        rng = world.random("flips", trial)
        source = rng.choice(files)
        content = bytearray(source.read_bytes())
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        shutil.copytree(whole, fresh(base))
        name = source.relative_to(whole)
        (base / name).write_bytes(content)
        said, noticed, broken = answers(world, base)
        other = [command for command in said if said[command] != right[command]]
        if broken or other:
            tally.broke(trial, f"bit {bit} of {name}: {broken or f'other answers of {other}, without a word'}")
        else:
            tally.add("noticed" if noticed else "without effect")
    tally.note(f"in {len(files)} files, by five commands each")
    yield tally
