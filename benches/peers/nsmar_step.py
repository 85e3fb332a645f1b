"""One training step of NSMAR+ in PyTorch: forward, backward, Adam over every parameter.

`bucketed`: nodes of equal degree form one batch of matrices, nothing is padded; one gather for all edges of a layer.
`tuned`: the same, and the gather's backward is a sparse product with a matrix kept from the start.
`padded`: every node padded to the largest degree (at most K), the usual way; in blocks of nodes that fit memory.

Width 64, 2 layers, K = 60, batch 2048, one negative, features 4096 + 384 wide (random: time does not depend on values), an
alignment of 256, user graph of 40 and item graph of 10 neighbours, a scorer's hidden layer of 64. No gradient flows through the
weights of neighbours. What is drawn once an epoch (neighbours, buckets) is not timed.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F

import data

D, LAYERS, K, BATCH, ALIGN, SLOW, L2 = 64, 2, 60, 2048, 256, 1e-3, 3e-2
WIDTHS = {"image": 4096, "text": 384}


class Gather(torch.autograd.Function):
    """x[idx]; backward as a sparse product (PyTorch's own accumulates row by row on one core)."""

    @staticmethod
    def forward(ctx, x, idx, scatter):
        ctx.scatter = scatter
        return x.index_select(0, idx)

    @staticmethod
    def backward(ctx, grad):
        return ctx.scatter @ grad.contiguous(), None, None


def unit_rows(x):
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)


def scatter_matrix(idx, nodes):
    """[nodes, edges] with a 1 where edge e reads node j."""
    order = np.argsort(idx, kind="stable")
    ptr = np.zeros(nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(idx, minlength=nodes), out=ptr[1:])
    return data.csr(ptr, order, np.ones(len(idx), dtype=np.float32), (nodes, len(idx)))


class Bucketed:
    def __init__(self, lists, tuned=False):
        nodes = len(lists)
        degree = np.array([len(row) for row in lists])
        self.order = np.argsort(degree, kind="stable")
        self.order = self.order[degree[self.order] > 0]
        kept = degree[self.order]
        self.buckets = [(int(n), int(c)) for n, c in zip(*np.unique(kept, return_counts=True))]
        idx = np.concatenate([lists[t] for t in self.order])
        self.idx = torch.tensor(idx)
        self.scatter = scatter_matrix(idx, nodes) if tuned else None
        # Back from bucket order to node order; nodes without neighbours read the row of zeros at the end.
        place = np.full(nodes, len(self.order))
        place[self.order] = np.arange(len(self.order))
        self.place = torch.tensor(place)

    def __call__(self, x):
        rows = x.index_select(0, self.idx) if self.scatter is None else Gather.apply(x, self.idx, self.scatter)
        with torch.no_grad():
            units = unit_rows(x).index_select(0, self.idx)
        sizes, out = [n * c for n, c in self.buckets], []
        # `split`, not slices: the backward of a slice allocates the whole input again.
        for (n, count), unit, near in zip(self.buckets, units.split(sizes), rows.split(sizes)):
            unit, near = unit.view(count, n, D), near.view(count, n, D)
            with torch.no_grad():
                alpha = F.relu(torch.bmm(unit, unit.transpose(1, 2))).mean(dim=2)
                alpha = alpha / (alpha.mean(dim=1, keepdim=True).clamp(min=1e-6) * n**0.5)
            out.append(torch.bmm(alpha.unsqueeze(1), near).squeeze(1))
        out.append(torch.zeros(1, D))
        return torch.cat(out).index_select(0, self.place)


class Padded:
    BLOCK = 4096

    def __init__(self, lists):
        width = max(len(row) for row in lists)
        idx = np.zeros((len(lists), width), dtype=np.int64)
        mask = np.zeros((len(lists), width), dtype=np.float32)
        for t, row in enumerate(lists):
            idx[t, : len(row)], mask[t, : len(row)] = row, 1.0
        self.idx, self.mask = torch.tensor(idx), torch.tensor(mask)
        self.degree = self.mask.sum(dim=1).clamp(min=1)

    def __call__(self, x):
        unit, out = unit_rows(x.detach()), []
        for at in range(0, len(self.idx), self.BLOCK):
            idx, mask, degree = (t[at : at + self.BLOCK] for t in (self.idx, self.mask, self.degree))
            with torch.no_grad():
                near = unit[idx] * mask.unsqueeze(2)
                alpha = F.relu(torch.bmm(near, near.transpose(1, 2))).sum(dim=2) / degree.unsqueeze(1) * mask
                mean = alpha.sum(dim=1, keepdim=True) / degree.unsqueeze(1)
                alpha = alpha / (mean.clamp(min=1e-6) * degree.unsqueeze(1).sqrt())
            out.append(torch.bmm(alpha.unsqueeze(1), x[idx]).squeeze(1))
        return torch.cat(out)


class Model(torch.nn.Module):
    def __init__(self, users, items, aggregate, degree, near):
        super().__init__()
        self.users, self.aggregate, self.near = users, aggregate, near
        self.damping = degree.clamp(min=1).rsqrt().unsqueeze(1)
        make = torch.nn.Linear
        table = lambda rows: torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(rows, D)))  # noqa: E731
        self.item = torch.nn.Parameter(torch.zeros(items, D))
        self.user = torch.nn.ParameterDict({m: table(users) for m in WIDTHS})
        self.mix = torch.nn.Parameter(torch.full((users, len(WIDTHS)), 0.5 / len(WIDTHS)))
        self.features = {m: F.normalize(torch.randn(items, w)) for m, w in WIDTHS.items()}
        hidden = lambda a, h, b, **more: torch.nn.Sequential(make(a, h), torch.nn.LeakyReLU(), make(h, b, **more))  # noqa: E731
        self.align = torch.nn.ModuleDict({m: hidden(w, ALIGN, D) for m, w in WIDTHS.items()})
        self.shared, width = make(D, D), D * len(WIDTHS)
        self.score = torch.nn.ModuleList(hidden(width, D, width, bias=False) for _ in range(2))
        for side in self.score:
            torch.nn.init.zeros_(side[2].weight)

    def groups(self, lr):
        slow = [*self.shared.parameters(), *self.score.parameters()]
        rest = [p for p in self.parameters() if all(p is not s for s in slow)]
        return [{"params": rest, "lr": lr}, {"params": slow, "lr": lr * SLOW}]

    def forward(self):
        outputs, items = [], self.item.shape[0]
        for at, m in enumerate(WIDTHS):
            x = F.normalize(torch.cat([self.user[m], self.shared(self.align[m](self.features[m])) + self.item]))
            total = x
            for _ in range(LAYERS):
                x = self.aggregate(x * self.damping)
                total = total + x
            users, rest = total.split([self.users, items])
            outputs.append(torch.cat([users * self.mix[:, at : at + 1], rest]))
        z = torch.cat(outputs, dim=1)
        return z + data.FixedSparse.apply(*self.near, z)

    def loss(self, u, p, n):
        z = self()
        zu = z.index_select(0, u)
        zu = zu + self.score[0](zu)
        zp, zn = (z.index_select(0, self.users + rows) for rows in (p, n))
        zp, zn = zp + self.score[1](zp), zn + self.score[1](zn)
        norms = sum(t.index_select(0, u).square().sum() for t in self.user.values())
        norms = norms + self.item.index_select(0, p).square().sum() + self.item.index_select(0, n).square().sum()
        return F.softplus((zu * zn).sum(dim=1) - (zu * zp).sum(dim=1)).mean() + L2 / len(u) * norms


def mixing(users, items, seed):
    """A block-diagonal matrix of the shape of user graph and item graph; which neighbours does not matter for time."""
    rng = np.random.default_rng(seed)
    nodes = users + items
    rows = np.concatenate([np.repeat(np.arange(users), 40), users + np.repeat(np.arange(items), 10)])
    cols = np.concatenate([rng.integers(0, users, users * 40), users + rng.integers(0, items, items * 10)])
    out = []
    for r, c in ((rows, cols), (cols, rows)):
        order = np.lexsort((c, r))
        ptr = np.zeros(nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(r, minlength=nodes), out=ptr[1:])
        out.append(data.csr(ptr, c[order], np.full(len(c), 0.1, dtype=np.float32), (nodes, nodes)))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interactions", help=data.ARGUMENT)
    parser.add_argument("--how", choices=["bucketed", "tuned", "padded"], default="bucketed")
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="print time by operator instead")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    base = data.peak_mib()
    users, items, train = data.read(args.interactions)
    ptr, idx = data.neighbour_lists(users, items, train)
    rng = np.random.default_rng(0)
    lists = [idx[a:b] if b - a <= K else rng.choice(idx[a:b], K, replace=False) for a, b in zip(ptr, ptr[1:])]
    degree = torch.tensor([float(len(row)) for row in lists])
    aggregate = Padded(lists) if args.how == "padded" else Bucketed(lists, args.how == "tuned")
    model = Model(users, items, aggregate, degree, mixing(users, items, 1))
    adam = torch.optim.Adam(model.groups(1e-3), fused=True)
    negatives = data.Negatives(users, items, train, 2)

    def step():
        rows = train[rng.integers(0, len(train), BATCH)]
        batch = (torch.from_numpy(c) for c in (rows[:, 0].copy(), rows[:, 1].copy(), negatives.draw(rows[:, 0])))
        adam.zero_grad()
        model.loss(*batch).backward()
        adam.step()

    if args.profile:
        step()
        with torch.profiler.profile() as profile:
            step()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))
        return
    seconds = data.timed(step, args.steps)
    edges = sum(len(row) for row in lists)
    data.report(f"nsmar+ step, {args.how}", seconds, peak_mib=data.peak_mib(), import_mib=base, edges=edges)


if __name__ == "__main__":
    main()
