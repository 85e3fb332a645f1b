"""A prepared folder as arrays, and one like it made here where there is no program to prepare it."""

import json
import pathlib

import numpy as np

LABELS = ("train", "valid", "test")


class Folder:
    """`train`, `valid`: (ptr `[U + 1]`, idx) by user; `features`, `missing`: by modality, `[I, d_m]` and `[I]`."""

    def __init__(self, path):
        path = pathlib.Path(path)
        manifest = json.loads((path / "manifest.json").read_text())
        self.users, self.items = manifest["users"], manifest["items"]
        array = lambda name, kind: np.fromfile(path / name, dtype=kind)  # noqa: E731
        self.train, self.valid = (
            tuple(array(f"{split}.{part}", np.uint32).astype(np.int64) for part in ("ptr", "idx"))
            for split in LABELS[:2]
        )
        self.features, self.missing = {}, {}
        for entry in manifest["features"]:
            name, shape = entry["name"], (self.items, entry["dim"])
            self.features[name] = array(f"feature.{name}.f32", np.float32).reshape(shape)
            self.missing[name] = array(f"feature.{name}.missing", np.uint8).astype(bool)


def owners(ptr):
    """The user of every interaction."""
    return np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))


def read_interactions(path):
    """(pairs `[n, 2]`, labels `[n]` or None) of an `.inter`, `.csv` or `.parquet` file."""
    if str(path).endswith(".parquet"):
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        return np.stack([table[c].to_numpy() for c in ("user", "item")], axis=1).astype(np.int64), None
    with open(path, encoding="utf-8") as file:
        head = file.readline().strip()
        split = "," if "," in head else "\t"
        names = head.split(split)
        rows = np.loadtxt(file, delimiter=split, dtype=np.float64, ndmin=2)
    columns = [names.index(n) for n in (("userID", "itemID") if "userID" in names else ("user", "item"))]
    labels = rows[:, names.index("x_label")].astype(np.int64) if "x_label" in names else None
    return rows[:, columns].astype(np.int64), labels


def prepare_here(interactions, features, out, seed=0):
    """Writes the files of a prepared folder that `Folder` reads. Without labels one pair a user is held out for each split."""
    pairs, labels = read_interactions(interactions)
    users, items = (int(n) for n in pairs.max(axis=0) + 1)
    if labels is None:
        shuffled = np.lexsort((np.random.default_rng(seed).random(len(pairs)), pairs[:, 0]))
        pairs = pairs[shuffled]
        starts = np.searchsorted(pairs[:, 0], np.arange(users))
        labels = np.zeros(len(pairs), dtype=np.int64)
        labels[starts], labels[starts + 1] = 1, 2
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(LABELS):
        kept = np.unique(pairs[labels == label], axis=0)
        np.searchsorted(kept[:, 0], np.arange(users + 1)).astype(np.uint32).tofile(out / f"{name}.ptr")
        kept[:, 1].astype(np.uint32).tofile(out / f"{name}.idx")
    entries = []
    for name, path in features.items():
        values = np.load(path).astype(np.float32)
        values.tofile(out / f"feature.{name}.f32")
        (~values.any(axis=1)).astype(np.uint8).tofile(out / f"feature.{name}.missing")
        entries.append({"name": name, "dim": values.shape[1]})
    manifest = {"users": users, "items": items, "features": entries}
    (out / "manifest.json").write_text(json.dumps(manifest))
