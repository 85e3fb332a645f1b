"""Sparse matrices, negatives and Adam on a device, shared by the models."""

import warnings

import torch

warnings.filterwarnings("ignore", message="Sparse")


class FixedSparse(torch.autograd.Function):
    """A · x with the transpose kept, so that backward converts nothing."""

    @staticmethod
    def forward(ctx, a, transposed, x):
        ctx.transposed = transposed
        return a @ x

    @staticmethod
    def backward(ctx, grad):
        return None, None, ctx.transposed @ grad.contiguous()


def csr(rows, cols, values, shape):
    """CSR with 32-bit indices, which the vendor's kernels take without a copy; entries in any order."""
    order = torch.argsort(rows * shape[1] + cols)
    count = torch.bincount(rows, minlength=shape[0])
    ptr = torch.cat([count.new_zeros(1), count.cumsum(0)]).int()
    return torch.sparse_csr_tensor(ptr, cols[order].int(), values[order], size=shape)


def both_ways(rows, cols, values, shape):
    """The matrix and its transpose."""
    return csr(rows, cols, values, shape), csr(cols, rows, values, shape[::-1])


class Edges:
    """The train interactions on a device: `owner`, `taken` `[E]`, sorted by user; and as edges between nodes, users first."""

    def __init__(self, folder, device):
        ptr, idx = (torch.from_numpy(a).to(device) for a in folder.train)
        self.users, self.items = folder.users, folder.items
        self.nodes = folder.users + folder.items
        self.owner = torch.repeat_interleave(torch.arange(folder.users, device=device), ptr.diff())
        self.taken = idx
        self.target = torch.cat([self.owner, folder.users + idx])
        self.source = torch.cat([folder.users + idx, self.owner])
        self.degree = torch.bincount(self.target, minlength=self.nodes)
        self.keys = self.owner * folder.items + idx

    def negatives(self, users):
        """One uniform negative a positive: all at once, then again for those that are train items."""
        draw = lambda n: torch.randint(self.items, (n,), device=users.device)  # noqa: E731
        out = draw(len(users))
        bad = torch.arange(len(users), device=users.device)
        while len(bad):
            keys = users[bad] * self.items + out[bad]
            at = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
            bad = bad[self.keys[at] == keys]
            out[bad] = draw(len(bad))
        return out

    def epoch(self, batch):
        """Triples of one epoch in batches of one size; the last is filled up with pairs of the first."""
        batch = min(batch, len(self.owner))
        order = torch.randperm(len(self.owner), device=self.owner.device)
        order = torch.cat([order, order[: -len(order) % batch]])
        u, p = self.owner[order], self.taken[order]
        return list(zip(u.split(batch), p.split(batch), self.negatives(u).split(batch)))


def adam(groups, device):
    more = {"capturable": True} if device.type == "cuda" else {}
    return torch.optim.Adam(groups, fused=True, **more)


def table(rows, dim, device):
    return torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(rows, dim, device=device)))
