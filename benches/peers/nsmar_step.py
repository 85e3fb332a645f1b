"""One training step of NSMAR+ in PyTorch: forward, backward, Adam over every parameter.

`bucketed`: nodes of equal degree form one batch of matrices, nothing is padded; one gather for all edges of a layer.
`tuned`: the same, and the gather's backward is a sparse product with a matrix kept from the start.
`padded`: every node padded to the largest degree (at most K), the usual way; in blocks of nodes that fit memory.

Width 64, 2 layers, K = 60, batch 2048, features 4096 + 384 wide (random: time does not depend on values), user graph of
40 and item graph of 10 neighbours, pair MLP of 64. What is drawn once an epoch (neighbours, buckets) is not timed.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F

import data

D, LAYERS, K, BATCH, HIDDEN, L2 = 64, 2, 60, 2048, 64, 1e-3
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
        both = torch.cat([unit_rows(x), x], dim=1)
        both = both.index_select(0, self.idx) if self.scatter is None else Gather.apply(both, self.idx, self.scatter)
        out = []
        # `split`, not slices: the backward of a slice allocates the whole input again.
        for (n, count), block in zip(self.buckets, both.split([n * c for n, c in self.buckets])):
            unit, rows = block.view(count, n, 2 * D).split(D, dim=2)
            alpha = F.relu(torch.bmm(unit, unit.transpose(1, 2))).mean(dim=2)
            out.append(torch.bmm(alpha.unsqueeze(1), rows).squeeze(1))
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
        unit, out = unit_rows(x), []
        for at in range(0, len(self.idx), self.BLOCK):
            idx, mask, degree = (t[at : at + self.BLOCK] for t in (self.idx, self.mask, self.degree))
            near = unit[idx] * mask.unsqueeze(2)
            alpha = F.relu(torch.bmm(near, near.transpose(1, 2))).sum(dim=2) / degree.unsqueeze(1) * mask
            out.append(torch.bmm(alpha.unsqueeze(1), x[idx]).squeeze(1))
        return torch.cat(out)


class Model(torch.nn.Module):
    def __init__(self, users, items, aggregate, degree, mix):
        super().__init__()
        self.users, self.aggregate, self.mix = users, aggregate, mix
        self.root = degree.clamp(min=1).rsqrt().unsqueeze(1)
        make = torch.nn.Linear
        table = lambda rows: torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(rows, D)))  # noqa: E731
        self.item = table(items)
        self.user = torch.nn.ParameterDict({m: table(users) for m in WIDTHS})
        self.features = {m: torch.randn(items, w) / w**0.5 for m, w in WIDTHS.items()}
        self.input = torch.nn.ModuleDict({m: make(w, D) for m, w in WIDTHS.items()})
        self.transform = torch.nn.ModuleDict({m: torch.nn.ModuleList(make(D, D) for _ in range(LAYERS)) for m in WIDTHS})
        self.align = torch.nn.ModuleDict({m: torch.nn.Sequential(make(D, D), torch.nn.LeakyReLU(), make(D, D)) for m in WIDTHS})
        self.shared = make(D, D)
        width = D * len(WIDTHS)
        self.score_user, self.score_item = make(width, HIDDEN), make(width, HIDDEN, bias=False)
        self.score_out = make(HIDDEN, 1, bias=False)

    def forward(self):
        outputs = []
        for m in WIDTHS:
            x = torch.cat([self.user[m], self.input[m](self.features[m]) + self.item])
            total = x
            for layer in self.transform[m]:
                x = F.leaky_relu(layer(self.aggregate(x))) * self.root
                total = total + x
            outputs.append(self.shared(self.align[m](total)))
        z = torch.cat(outputs, dim=1)
        return z + data.FixedSparse.apply(*self.mix, z)

    def loss(self, u, p, n):
        z = self()
        a = self.score_user(z.index_select(0, u))
        yp = self.score_out(F.relu(a + self.score_item(z.index_select(0, self.users + p))))
        yn = self.score_out(F.relu(a + self.score_item(z.index_select(0, self.users + n))))
        norms = sum(t.index_select(0, u).square().sum() for t in self.user.values())
        norms = norms + self.item.index_select(0, p).square().sum() + self.item.index_select(0, n).square().sum()
        return F.softplus(yn - yp).mean() + L2 / len(u) * norms


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
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
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
