"""One LightGCN epoch in PyTorch: 2 layers, width 64, batch 2048, BPR + norms of the batch's rows as in MMRec, Adam.

`csr`: the adjacency as CSR with 32-bit indices, symmetric, so backward is the same product.
`coo`: `torch.sparse.mm` on an uncoalesced COO tensor under autograd, as MMRec does.

Negatives: the epoch is timed with a vectorised sampler; MMRec's own (one `random.sample` a negative) is timed apart and
reported as `mmrec_sampling_s`: add it for what MMRec takes.
"""

import argparse
import random
import statistics

import numpy as np
import torch

import data

D, LAYERS, BATCH, REG = 64, 2, 2048, 1e-3


def mmrec_sampling(train, items):
    """All negatives of one epoch, the way MMRec's loader draws them."""
    history = {}
    for u, i in train.tolist():
        history.setdefault(u, set()).add(i)
    pool = sorted(set(train[:, 1].tolist()))
    users = train[:, 0].tolist()

    def draw():
        out = []
        for u in users:
            item = random.sample(pool, 1)[0]
            while item in history[u]:
                item = random.sample(pool, 1)[0]
            out.append(item)
        return torch.tensor(out)

    return draw


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interactions", help=data.ARGUMENT)
    parser.add_argument("--how", choices=["csr", "coo"], default="csr")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    users, items, train = data.read(args.interactions)
    ptr, idx = data.neighbour_lists(users, items, train)
    values, nodes = data.symmetric(ptr, idx), users + items
    if args.how == "csr":
        a = data.csr(ptr, idx, values, (nodes, nodes))
        multiply = lambda x: data.FixedSparse.apply(a, a, x)  # noqa: E731
    else:
        where = torch.tensor(np.stack([np.repeat(np.arange(nodes), np.diff(ptr)), idx]))
        a = torch.sparse_coo_tensor(where, torch.tensor(values), (nodes, nodes))
        multiply = lambda x: torch.sparse.mm(a, x)  # noqa: E731
    init = torch.nn.init.xavier_uniform_
    user, item = (torch.nn.Parameter(init(torch.empty(n, D))) for n in (users, items))
    adam = torch.optim.Adam([user, item], lr=1e-3, fused=args.how == "csr")
    negatives = data.Negatives(users, items, train, 0)
    rng = np.random.default_rng(0)

    def forward():
        layers = [torch.cat([user, item])]
        for _ in range(LAYERS):
            layers.append(multiply(layers[-1]))
        if args.how == "csr":
            return sum(layers) / len(layers)
        return torch.stack(layers, dim=1).mean(dim=1)

    def step(u, p, n):
        adam.zero_grad()
        z = forward()
        rows = [z.index_select(0, r) for r in (u, users + p, users + n)]
        gap = (rows[0] * rows[1]).sum(dim=1) - (rows[0] * rows[2]).sum(dim=1)
        ego = user.index_select(0, u), item.index_select(0, p), item.index_select(0, n)
        loss = -torch.nn.functional.logsigmoid(gap).mean() + REG * sum(e.norm() for e in ego) / len(u)
        loss.backward()
        adam.step()

    def epoch():
        rows = train[rng.permutation(len(train))]
        n = torch.from_numpy(negatives.draw(rows[:, 0]))
        u, p = (torch.from_numpy(rows[:, c].copy()) for c in (0, 1))
        for batch in zip(u.split(BATCH), p.split(BATCH), n.split(BATCH)):
            step(*batch)

    seconds = data.timed(epoch, args.epochs)
    slow = data.timed(mmrec_sampling(train, items), 3, warm=0)
    fast = data.timed(lambda: negatives.draw(train[:, 0]), 3, warm=0)
    more = {"batches": -(-len(train) // BATCH), "peak_mib": data.peak_mib()}
    more |= {"sampling_s": round(statistics.median(fast), 4), "mmrec_sampling_s": round(statistics.median(slow), 4)}
    data.report(f"lightgcn epoch, {args.how}", seconds, **more)


if __name__ == "__main__":
    main()
