"""NSMAR+ in PyTorch, written to be fast on a GPU, with the settings of `alike train nsmar+` but one negative per pair.

Neighbour similarity, through whose weights no gradient flows: targets are grouped by number of neighbours into the widths of `LADDER`; a group is one batch of matrices, filled
up with rows of zeros, which add nothing. One gather serves all groups of a layer.

`index`: the gather's backward adds rows with atomics. `sparse`: it is a product with a CSR matrix kept from the start.
"""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import sparse

D, LAYERS, K, HIDDEN, SLOPE = 64, 2, 1000, 256, 0.01
USER_NEIGHBORS, ITEM_NEIGHBORS = 40, 10
L2, LR, SLOW, MIX = 3e-2, 1e-3, 1e-3, 0.5
LADDER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 60, 72, 88, 104, 128, 160, 192, 256, 384, 512, 768, K)
# Rows of zeros that fill up groups; many, so that their gradients do not all meet in one place.
ZEROS = 4096
# Matrices a batched product takes without being cut up by the library.
MOST = 65_535


def unit_rows(x):
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)


def weights(unit, degree):
    """`unit [c, w, d]`: unit rows of `w` neighbours of `c` targets; weights of mean `1/√n`, `[c, 1, w]`."""
    alpha = F.relu(torch.bmm(unit, unit.transpose(1, 2))).sum(dim=2) / degree
    mean = alpha.sum(dim=1, keepdim=True) / degree
    return (alpha / (mean.clamp(min=1e-6) * degree.sqrt())).unsqueeze(1)


class Gather(torch.autograd.Function):
    """x[idx]; backward as a sparse product."""

    @staticmethod
    def forward(ctx, x, idx, scatter):
        ctx.scatter = scatter
        return x.index_select(0, idx)

    @staticmethod
    def backward(ctx, grad):
        return ctx.scatter @ grad.contiguous(), None, None


class Grouped:
    """Neighbour similarity over a draw of at most `K` neighbours."""

    def __init__(self, edges, how, compiled):
        device, nodes = edges.target.device, edges.nodes
        self.weights = torch.compile(weights, dynamic=True) if compiled else weights
        self.unit_rows = torch.compile(unit_rows, dynamic=True) if compiled else unit_rows
        order = torch.argsort(edges.target + torch.rand(len(edges.target), device=device, dtype=torch.float64))
        source, starts = edges.source[order], edges.degree.cumsum(0) - edges.degree
        self.degree = edges.degree.clamp(max=K)
        group = torch.bucketize(self.degree, torch.tensor(LADDER, device=device))
        self.parts, flat, targets, filled = [], [], [], 0
        for g, width in enumerate(LADDER):
            for t in torch.nonzero((group == g) & (self.degree > 0)).flatten().split(MOST):
                if len(t) == 0:
                    continue
                column = torch.arange(width, device=device)
                own = column < self.degree[t, None]
                # Fill with the rows of zeros in turn.
                fill = nodes + (filled + torch.arange(len(t) * width, device=device).view(-1, width)) % ZEROS
                at = (starts[t, None] + column).clamp(max=len(source) - 1)
                flat.append(torch.where(own, source[at], fill).flatten())
                targets.append(t)
                self.parts.append((len(t), width, self.degree[t, None].float()))
                filled += len(t) * width
        self.idx = torch.cat(flat)
        self.pairs = sum(count * width * width for count, width, _ in self.parts)
        # Back to node order; nodes without neighbours read the row of zeros at the end.
        targets = torch.cat(targets)
        self.place = torch.full((nodes,), len(targets), device=device)
        self.place[targets] = torch.arange(len(targets), device=device)
        self.scatter = None
        if how == "sparse":
            at, ones = torch.arange(len(self.idx), device=device), torch.ones(len(self.idx), device=device)
            self.scatter = sparse.csr(self.idx, at, ones, (nodes + ZEROS, len(self.idx)))

    def __call__(self, x):
        padded = F.pad(x, (0, 0, 0, ZEROS))
        sizes = [count * width for count, width, _ in self.parts]
        with torch.no_grad():
            units = F.pad(self.unit_rows(x), (0, 0, 0, ZEROS)).index_select(0, self.idx).split(sizes)
            shares = [self.weights(u.view(c, w, D), degree) for u, (c, w, degree) in zip(units, self.parts)]
        if self.scatter is None:
            near = padded.index_select(0, self.idx)
        else:
            near = Gather.apply(padded, self.idx, self.scatter)
        blocks = zip(near.split(sizes), self.parts, shares)
        out = [torch.bmm(share, rows.view(c, w, D)).squeeze(1) for rows, (c, w, _), share in blocks]
        return torch.cat([*out, x.new_zeros(1, D)]).index_select(0, self.place)


class NsmarPlus(torch.nn.Module):
    HOWS = ("index", "sparse")

    def __init__(self, folder, edges, device, how, graph=None, compiled=False, recompute=False):
        super().__init__()
        self.users, self.recompute, self.graph = edges.users, recompute, graph
        self.aggregate = Grouped(edges, how, compiled)
        self.damping = edges.degree.clamp(min=1).float().rsqrt().unsqueeze(1)
        self.features = {m: F.normalize(torch.from_numpy(x).to(device)) for m, x in folder.features.items()}
        self.missing = {m: torch.from_numpy(x).to(device).float().unsqueeze(1) for m, x in folder.missing.items()}
        names, wide = list(self.features), D * len(self.features)
        make = lambda a, b, **more: torch.nn.Linear(a, b, device=device, **more)  # noqa: E731
        hidden = lambda a, h, b, **more: torch.nn.Sequential(make(a, h), torch.nn.LeakyReLU(SLOPE), make(h, b, **more))  # noqa: E731
        each = lambda of: torch.nn.ModuleDict({m: of(m) for m in names})  # noqa: E731
        self.item = torch.nn.Parameter(torch.zeros(edges.items, D, device=device))
        self.user = torch.nn.ParameterDict({m: sparse.table(edges.users, D, device) for m in names})
        self.mix = torch.nn.Parameter(torch.full((edges.users, len(names)), MIX / len(names), device=device))
        self.unknown = torch.nn.ParameterDict({m: sparse.table(1, D, device) for m in names if folder.missing[m].any()})
        self.align = each(lambda m: hidden(self.features[m].shape[1], HIDDEN, D))
        self.shared = make(D, D)
        torch.nn.init.eye_(self.shared.weight)
        self.score = torch.nn.ModuleList(hidden(wide, D, wide, bias=False) for _ in range(2))
        for side in self.score:
            torch.nn.init.zeros_(side[2].weight)
        slow = [*self.shared.parameters(), *self.score.parameters()]
        rest = [p for p in self.parameters() if all(p is not s for s in slow)]
        self.adam = sparse.adam([{"params": rest, "lr": LR}, {"params": slow, "lr": LR * SLOW}], device)

    def convolve(self, m):
        item = self.align[m](self.features[m])
        if m in self.unknown:
            item = item * (1 - self.missing[m]) + self.missing[m] * self.unknown[m]
        x = F.normalize(torch.cat([self.user[m], self.shared(item) + self.item]))
        total = x
        for _ in range(LAYERS):
            x = x * self.damping
            x = checkpoint(self.aggregate, x, use_reentrant=False) if self.recompute else self.aggregate(x)
            total = total + x
        return total

    def vectors(self):
        outputs = []
        for at, m in enumerate(self.features):
            x = self.convolve(m)
            outputs.append(torch.cat([x[: self.users] * self.mix[:, at : at + 1], x[self.users :]]))
        z = torch.cat(outputs, dim=1)
        return z if self.graph is None else z + sparse.FixedSparse.apply(*self.graph, z)

    def side(self, which, z):
        return z + self.score[which](z)

    def loss(self, u, p, n):
        z = self.vectors()
        zu, zp, zn = (z.index_select(0, rows) for rows in (u, self.users + p, self.users + n))
        zu, zp, zn = self.side(0, zu), self.side(1, zp), self.side(1, zn)
        gap = (zu * zp).sum(dim=1) - (zu * zn).sum(dim=1)
        norms = sum(t.index_select(0, u).square().sum() for t in self.user.values())
        norms = norms + self.item.index_select(0, p).square().sum() + self.item.index_select(0, n).square().sum()
        return F.softplus(-gap).mean() + L2 / len(u) * norms

    def scorer(self):
        z = self.vectors()
        return self.side(0, z[: self.users]), self.side(1, z[self.users :]), None
