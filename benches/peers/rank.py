"""Full ranking and top 50 of all users in PyTorch, train items masked.

`dot`: products of vectors of width 128 in blocks of users, then `topk`.
`split`: the pair MLP with one hidden layer of 64, its first layer split in a user part and an item part that are computed once;
         blocks of users small enough for the cache, all temporaries reused.
`unsplit`: the first layer on the concatenated pair, on a sample of users, extrapolated to all (`extrapolated_s`).
"""

import argparse

import numpy as np
import torch

import data

WIDTH, HIDDEN, TOP = 128, 64, 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interactions", help=data.ARGUMENT)
    parser.add_argument("--how", choices=["dot", "split", "unsplit"], default="split")
    parser.add_argument("--block", type=int, help="users a block")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=int, default=128, help="users of `unsplit`")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    users, items, train = data.read(args.interactions)
    zu, zi = torch.randn(users, WIDTH), torch.randn(items, WIDTH)
    wu, wi = torch.randn(WIDTH, HIDDEN) / WIDTH**0.5, torch.randn(WIDTH, HIDDEN) / WIDTH**0.5
    bias, out = torch.randn(HIDDEN), torch.randn(HIDDEN)
    starts = np.searchsorted(train[:, 0], np.arange(users + 1))
    owner, taken = torch.from_numpy(train[:, 0].copy()), torch.from_numpy(train[:, 1].copy())
    block = args.block or {"dot": 128, "split": 8, "unsplit": 8}[args.how]
    last = min(args.sample, users) if args.how == "unsplit" else users

    def blocks(score):
        for at in range(0, last, block):
            end = min(at + block, last)
            scores = score(at, end)
            rows = slice(starts[at], starts[end])
            scores[owner[rows] - at, taken[rows]] = float("-inf")
            scores.topk(TOP, dim=1)

    def dot():
        blocks(lambda at, end: zu[at:end] @ zi.T)

    def split():
        a, b = zu @ wu + bias, zi @ wi
        hidden, scores = torch.empty(block, items, HIDDEN), torch.empty(block * items)

        def score(at, end):
            n = end - at
            torch.add(a[at:end, None, :], b, out=hidden[:n]).relu_()
            return torch.mv(hidden[:n].view(-1, HIDDEN), out, out=scores[: n * items]).view(n, items)

        blocks(score)

    def unsplit():
        w = torch.cat([wu, wi])

        def score(at, end):
            n = end - at
            pair = torch.cat([zu[at:end, None].expand(n, items, WIDTH), zi.expand(n, items, WIDTH)], dim=2)
            return torch.relu(pair.view(-1, 2 * WIDTH) @ w + bias).mv(out).view(n, items)

        blocks(score)

    seconds = data.timed({"dot": dot, "split": split, "unsplit": unsplit}[args.how], args.runs)
    more = {"users": last, "items": items, "block": block, "peak_mib": data.peak_mib()}
    if last < users:
        more["extrapolated_s"] = round(sorted(seconds)[len(seconds) // 2] * users / last, 2)
    data.report(f"rank, {args.how}", seconds, **more)


if __name__ == "__main__":
    main()
