"""LightGCN: 2 layers, width 64, BPR and squared norms of the batch's starting rows, Adam; as `alike train lightgcn`.

`csr`: 32-bit CSR, symmetric, so backward is the same product. `coo`: `torch.sparse.mm` on COO under autograd.
"""

import torch
import torch.nn.functional as F

import sparse

D, LAYERS, L2, LR = 64, 2, 1e-4, 1e-3


class LightGcn:
    HOWS = ("csr", "coo")

    def __init__(self, folder, edges, device, how):
        self.users, self.nodes = edges.users, edges.nodes
        degree = edges.degree.clamp(min=1).float()
        values = (degree[edges.target] * degree[edges.source]).rsqrt()
        if how == "coo":
            where, shape = torch.stack([edges.target, edges.source]), (self.nodes, self.nodes)
            a = torch.sparse_coo_tensor(where, values, shape).coalesce()
            self.multiply = lambda x: torch.sparse.mm(a, x)
        else:
            a = sparse.csr(edges.target, edges.source, values, (self.nodes, self.nodes))
            self.multiply = lambda x: sparse.FixedSparse.apply(a, a, x)
        self.tables = [sparse.table(n, D, device) for n in (edges.users, edges.items)]
        self.adam = sparse.adam([{"params": self.tables, "lr": LR}], device)

    def vectors(self):
        x = torch.cat(self.tables)
        total = x
        for _ in range(LAYERS):
            x = self.multiply(x)
            total = total + x
        return total / (LAYERS + 1)

    def loss(self, u, p, n):
        z = self.vectors()
        zu, zp, zn = (z.index_select(0, rows) for rows in (u, self.users + p, self.users + n))
        gap = (zu * zp).sum(dim=1) - (zu * zn).sum(dim=1)
        user, item = self.tables
        norms = sum(t.index_select(0, rows).square().sum() for t, rows in ((user, u), (item, p), (item, n)))
        return F.softplus(-gap).mean() + L2 / len(u) * norms

    def scorer(self):
        z = self.vectors()
        return z[: self.users], z[self.users :], None
