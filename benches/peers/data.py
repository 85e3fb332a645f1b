"""Graph, sampling and timing shared by the peers."""

import json
import resource
import statistics
import time
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore", message="Sparse")

ARGUMENT = "interactions: an `.inter` file (columns userID itemID … x_label; label 0 is train), or lines of `user item`"


def read(path):
    """(users, items, train): counts over all splits, and the train pairs `[E, 2]` sorted by user, then item."""
    with open(path, encoding="utf-8") as file:
        first = file.readline().split()
        rows = [line.split() for line in file if line.strip()]
    if first[0].isdigit():
        first, rows = ["userID", "itemID"], [first, *rows]
    u, i = first.index("userID"), first.index("itemID")
    pairs = np.array([(int(r[u]), int(r[i])) for r in rows])
    users, items = pairs.max(axis=0) + 1
    if "x_label" in first:
        label = first.index("x_label")
        pairs = pairs[np.array([r[label] == "0" for r in rows])]
    return int(users), int(items), np.unique(pairs, axis=0)


def neighbour_lists(users, items, train):
    """CSR over nodes (users first): users see items as nodes `users + i`, items see users."""
    target = np.concatenate([train[:, 0], users + train[:, 1]])
    source = np.concatenate([users + train[:, 1], train[:, 0]])
    order = np.lexsort((source, target))
    ptr = np.zeros(users + items + 1, dtype=np.int64)
    np.cumsum(np.bincount(target, minlength=users + items), out=ptr[1:])
    return ptr, source[order]


def symmetric(ptr, idx):
    """Values of D^-1/2 A D^-1/2 in the order of `idx`."""
    degree = np.diff(ptr).astype(np.float64)
    target = np.repeat(np.arange(len(degree)), np.diff(ptr))
    return (1.0 / np.sqrt(degree[target] * degree[idx])).astype(np.float32)


def csr(ptr, idx, values, size):
    # 32-bit indices are what the vendor's sparse kernels take without a copy.
    parts = torch.tensor(ptr, dtype=torch.int32), torch.tensor(idx, dtype=torch.int32), torch.tensor(values)
    return torch.sparse_csr_tensor(*parts, size=size)


class Negatives:
    """One uniform negative a positive, vectorised: all at once, then again for those that were train items."""

    def __init__(self, users, items, train, seed):
        self.items, self.rng = items, np.random.default_rng(seed)
        self.taken = np.zeros(users * items, dtype=bool) if users * items <= 1 << 28 else None
        self.keys = train[:, 0] * items + train[:, 1]
        if self.taken is not None:
            self.taken[self.keys] = True

    def is_taken(self, keys):
        if self.taken is not None:
            return self.taken[keys]
        at = np.searchsorted(self.keys, keys)
        return self.keys[np.minimum(at, len(self.keys) - 1)] == keys

    def draw(self, users):
        out = self.rng.integers(0, self.items, len(users))
        bad = np.flatnonzero(self.is_taken(users * self.items + out))
        while len(bad):
            out[bad] = self.rng.integers(0, self.items, len(bad))
            bad = bad[self.is_taken(users[bad] * self.items + out[bad])]
        return out


class FixedSparse(torch.autograd.Function):
    """A · x with the transpose kept, so that backward converts nothing."""

    @staticmethod
    def forward(ctx, a, transposed, x):
        ctx.transposed = transposed
        return a @ x

    @staticmethod
    def backward(ctx, grad):
        return None, None, ctx.transposed @ grad.contiguous()


def timed(function, repeats, warm=1):
    """Seconds of each of `repeats` calls after `warm` calls that do not count."""
    for _ in range(warm):
        function()
    out = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        out.append(time.perf_counter() - start)
    return out


def report(name, seconds, **more):
    """One line of JSON."""
    line = {"peer": name, "median_s": round(statistics.median(seconds), 4), "min_s": round(min(seconds), 4)}
    line |= {"runs": len(seconds), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps(line | more), flush=True)


def peak_mib():
    """Largest resident size of this process so far, MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
