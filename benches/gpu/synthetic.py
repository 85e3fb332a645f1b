"""A synthetic log with skewed popularity and two kinds of item features, the same for the same seed.

    python benches/gpu/synthetic.py OUT [--users 1000000 --items 200000 --interactions 20000000 --text 384 --image 512]

Item popularity is Zipf-like, (rank + 200)^-0.8: the most popular of 200 k items has some 7,000 users, as in a large shop; without the
offset it would have most of them. Users have 5 interactions and exponentially many more. Every item is taken at least once. Features
are normal. Writes `interactions.parquet` (`.csv` without pyarrow), `text.npy`, `image.npy`: at full size about 0.1 GB, 0.31 GB and
0.41 GB.
"""

import argparse
import pathlib

import numpy as np

OFFSET, POWER, LEAST, CHUNK = 200, 0.8, 5, 100_000


def pairs(users, items, interactions, seed):
    """(user, item), sorted, none twice; about `interactions` of them."""
    rng = np.random.default_rng(seed)
    # A smaller catalogue keeps its skew.
    offset = max(1.0, OFFSET * items / 200_000)
    share = np.cumsum((np.arange(items) + offset) ** -POWER)
    share /= share[-1]
    name = rng.permutation(items)
    # One pair an item comes on top, and repeats drop out: about one in a hundred.
    mean = (interactions - items) * 1.01 / users - LEAST
    out, first = [], rng.integers(0, users, items)
    for start in range(0, users, CHUNK):
        end = min(start + CHUNK, users)
        count = LEAST + rng.exponential(max(mean, 0.5), end - start).astype(np.int64)
        user = np.repeat(np.arange(start, end), np.minimum(count, items // 2))
        item = name[np.minimum(np.searchsorted(share, rng.random(len(user))), items - 1)]
        once = np.flatnonzero((first >= start) & (first < end))
        keys = np.concatenate([user * items + item, first[once] * items + once])
        out.append(np.unique(keys))
    keys = np.concatenate(out)
    return keys // items, keys % items


def write_pairs(out, user, item):
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path = out / "interactions.csv"
        with open(path, "w", encoding="utf-8") as file:
            file.write("user,item\n")
            for start in range(0, len(user), 1 << 20):
                rows = zip(user[start : start + (1 << 20)].tolist(), item[start : start + (1 << 20)].tolist())
                file.write("".join(f"{u},{i}\n" for u, i in rows))
        return path
    path = out / "interactions.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"user": user, "item": item}), path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    for name, value in [("users", 1_000_000), ("items", 200_000), ("interactions", 20_000_000), ("text", 384), ("image", 512)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    user, item = pairs(args.users, args.items, args.interactions, args.seed)
    for name, width in (("text", args.text), ("image", args.image)):
        rng = np.random.default_rng([args.seed, width])
        np.save(args.out / f"{name}.npy", rng.standard_normal((args.items, width), dtype=np.float32))
    path = write_pairs(args.out, user, item)
    degree = np.bincount(item, minlength=args.items)
    print(f"{path.name}: {len(user)} pairs, most popular item {degree.max()} users, median {int(np.median(degree))}")


if __name__ == "__main__":
    main()
