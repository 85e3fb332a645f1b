"""NSMAR+ in PyTorch, written to be fast on a GPU, with the settings of `alike train nsmar+` or the learned ones of the paper.

Neighbour similarity: targets are grouped by number of neighbours into the widths of `LADDER`; a group is one batch of matrices, filled
up with rows of zeros, which add nothing. One gather serves all groups of a layer.

`index`: the gather's backward adds rows with atomics. `sparse`: it is a product with a CSR matrix kept from the start.
"""

import dataclasses

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import sparse

D, LAYERS, K, HIDDEN, SLOPE = 64, 2, 60, 64, 0.01
USER_NEIGHBORS, ITEM_NEIGHBORS = 40, 10
L2, LR, ALIGN_LR = 1e-2, 3e-3, 1e-3
LADDER = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, K)
# Rows of zeros that fill up groups; many, so that their gradients do not all meet in one place.
ZEROS = 4096
# Matrices a batched product takes without being cut up by the library.
MOST = 65_535


@dataclasses.dataclass(frozen=True)
class Variant:
    learned: bool  # transforms and pair MLP
    skip: bool
    damp: bool
    l2_vectors: float


VARIANTS = {"default": Variant(False, True, True, 3e-3), "learned": Variant(True, False, False, 0.0)}


def unit_rows(x):
    centred = x - x.mean(dim=1, keepdim=True)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=1e-12)


def similarity(block, degree):
    """`block [c, w, 2d]`: unit rows and rows of `w` neighbours of `c` targets; `[c, d]`."""
    unit, rows = block.split(D, dim=2)
    alpha = F.relu(torch.bmm(unit, unit.transpose(1, 2))).sum(dim=2) / degree
    return torch.bmm(alpha.unsqueeze(1), rows).squeeze(1)


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
        self.similarity = torch.compile(similarity, dynamic=True) if compiled else similarity
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
        both = F.pad(torch.cat([self.unit_rows(x), x], dim=1), (0, 0, 0, ZEROS))
        if self.scatter is None:
            near = both.index_select(0, self.idx)
        else:
            near = Gather.apply(both, self.idx, self.scatter)
        blocks = near.split([count * width for count, width, _ in self.parts])
        out = [self.similarity(b.view(c, w, 2 * D), degree) for b, (c, w, degree) in zip(blocks, self.parts)]
        return torch.cat([*out, x.new_zeros(1, D)]).index_select(0, self.place)


class NsmarPlus(torch.nn.Module):
    HOWS = ("index", "sparse")

    def __init__(self, folder, edges, device, how, variant="default", graph=None, compiled=False, recompute=False):
        super().__init__()
        self.variant, self.users, self.recompute, self.graph = VARIANTS[variant], edges.users, recompute, graph
        self.aggregate = Grouped(edges, how, compiled)
        self.root = self.aggregate.degree.clamp(min=1).float().rsqrt().unsqueeze(1)
        self.damping = edges.degree.clamp(min=1).float().rsqrt().unsqueeze(1)
        self.features = {m: F.normalize(torch.from_numpy(x).to(device)) for m, x in folder.features.items()}
        self.missing = {m: torch.from_numpy(x).to(device).float().unsqueeze(1) for m, x in folder.missing.items()}
        names, width = list(self.features), D * len(self.features)
        make = lambda a, b, **more: torch.nn.Linear(a, b, device=device, **more)  # noqa: E731
        each = lambda of: torch.nn.ModuleDict({m: of(m) for m in names})  # noqa: E731
        self.item = sparse.table(edges.items, D, device)
        self.user = torch.nn.ParameterDict({m: sparse.table(edges.users, D, device) for m in names})
        self.unknown = torch.nn.ParameterDict({m: sparse.table(1, D, device) for m in names if folder.missing[m].any()})
        self.input = each(lambda m: make(self.features[m].shape[1], D))
        self.align = each(lambda m: torch.nn.Sequential(make(D, D), torch.nn.LeakyReLU(SLOPE), make(D, D)))
        self.shared = make(D, D)
        if self.variant.learned:
            self.transform = each(lambda m: torch.nn.ModuleList(make(D, D) for _ in range(LAYERS)))
            self.score_user, self.score_item = make(width, HIDDEN), make(width, HIDDEN, bias=False)
            self.score_out = make(HIDDEN, 1, bias=False)
        slow = [*self.align.parameters(), *self.shared.parameters()]
        rest = [p for p in self.parameters() if all(p is not s for s in slow)]
        self.adam = sparse.adam([{"params": rest, "lr": LR}, {"params": slow, "lr": LR * ALIGN_LR}], device)

    def convolve(self, m):
        item = self.input[m](self.features[m])
        if m in self.unknown:
            item = item * (1 - self.missing[m]) + self.missing[m] * self.unknown[m]
        x = torch.cat([self.user[m], item + self.item])
        total = x
        for layer in range(LAYERS):
            x = x * self.damping if self.variant.damp else x
            x = checkpoint(self.aggregate, x, use_reentrant=False) if self.recompute else self.aggregate(x)
            if self.variant.learned:
                x = F.leaky_relu(self.transform[m][layer](x), SLOPE)
            x = x * self.root
            total = total + x
        return total

    def vectors(self):
        outputs = []
        for m in self.features:
            x = self.convolve(m)
            moved = self.align[m](x)
            outputs.append(self.shared(x + moved if self.variant.skip else moved))
        z = torch.cat(outputs, dim=1)
        return z if self.graph is None else z + sparse.FixedSparse.apply(*self.graph, z)

    def loss(self, u, p, n):
        z = self.vectors()
        zu, zp, zn = (z.index_select(0, rows) for rows in (u, self.users + p, self.users + n))
        if self.variant.learned:
            a = self.score_user(zu)
            gap = self.score_out(F.relu(a + self.score_item(zp))) - self.score_out(F.relu(a + self.score_item(zn)))
        else:
            gap = (zu * zp).sum(dim=1) - (zu * zn).sum(dim=1)
        norms = sum(t.index_select(0, u).square().sum() for t in self.user.values())
        norms = norms + self.item.index_select(0, p).square().sum() + self.item.index_select(0, n).square().sum()
        loss = F.softplus(-gap).mean() + L2 / len(u) * norms
        if self.variant.l2_vectors:
            loss = loss + self.variant.l2_vectors / len(u) * sum(rows.square().sum() for rows in (zu, zp, zn))
        return loss

    def scorer(self):
        z = self.vectors()
        zu, zi = z[: self.users], z[self.users :]
        if not self.variant.learned:
            return zu, zi, None
        return self.score_user(zu), self.score_item(zi), self.score_out.weight[0]
