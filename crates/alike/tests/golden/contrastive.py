"""SOIL, PGL and COHESION in PyTorch, written from the papers' equations in the manner of `oracle.py`.

Letters as there: U users, I items, N = U + I nodes (users first), d width, b pairs of a batch, M modalities.
"""

import math

import torch
import torch.nn.functional as F

from oracle import (
    Featured, affine, dense, info_nce, layer_contrast, leaky, symmetric, unit, user_graph,
)  # fmt: skip


def cosines(features):
    """All cosines of rows `[I, I]`; a row of zeros has cosine 0 with every row, itself included."""
    norms = features.norm(dim=1)
    rows = features / torch.where(norms > 0, norms, torch.ones_like(norms))[:, None]
    return rows @ rows.T


class Soil(Featured):
    """Two more graphs: of items that suit a user's interest, and of users with what is like their items everywhere."""

    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        self.gap = 1.0  # smallest difference between a value that was selected and one that was not
        alike = {m: cosines(graph["features"][m]) for m in self.names}
        interest = self.interest(alike)
        self.graphs = {m: self.item_cosines(m) + symmetric(interest[m]) for m in self.names}
        self.adjacency = self.plain + self.second_order(alike) / 2.0

    def largest(self, values, count):
        """Places of the `count` largest of a list, ties to the earlier place."""
        order = sorted(range(len(values)), key=lambda k: (-values[k], k))
        if count < len(order):
            self.gap = min(self.gap, values[order[count - 1]] - values[order[count]])
        return order[:count]

    def interest(self, alike):
        """W_m: per user, their items against the items that are most alike to all of theirs in some modality."""
        out = {m: torch.zeros(self.i, self.i, dtype=torch.float64) for m in self.names}
        for mine in self.g["train"]:
            suited = set()
            for m in self.names:
                sums = [sum(float(alike[m][i, j]) for i in mine) for j in range(self.i)]
                found = self.largest(sums, self.s["interest_neighbors"])
                if any(self.g["missing"][m][j] for j in found):
                    self.gap = 0.0  # whether an item without features can be chosen is not for numbers to say
                suited |= set(found)
            for m in self.names:
                for i in mine:
                    for j in suited:
                        out[m][i, j] += max(float(alike[m][i, j]), 0.0)
        return out

    def second_order(self, alike):
        """Â₂ `[N, N]`: per user the largest products of cosines with their items, `second_neighbors` more than these."""
        product = torch.ones(self.i, self.i, dtype=torch.float64)
        for m in self.names:
            product = product * alike[m]
        product.fill_diagonal_(1.0)  # an item is like itself, features or not
        a = torch.zeros(self.u + self.i, self.u + self.i, dtype=torch.float64)
        for u, mine in enumerate(self.g["train"]):
            count = self.s["second_neighbors"] + len(mine)
            pairs = [(i, j) for i in mine for j in range(self.i)]
            values = [float(product[i, j]) for i, j in pairs]
            for k in self.largest(values, count):
                a[u, self.u + pairs[k][1]] += values[k]
                a[self.u + pairs[k][1], u] += values[k]
        return symmetric(a)

    def shapes(self):
        d = self.s["dim"]
        out = {"embedding": (self.u + self.i, d), "query.out": (d, 1)} | self.missing_shapes(d)
        out |= self.map_shapes("query", d, d)
        for m in self.names:
            out |= self.map_shapes(f"input.{m}", self.width(m), d) | self.map_shapes(f"purify.{m}", d, d)
        return out

    def parts(self, p):
        e = p["embedding"]
        a = self.adjacency.to(e.dtype)
        layers = [e]
        for _ in range(self.s["layers"]):
            layers.append(a @ layers[-1])
        content = torch.stack(layers).mean(dim=0)
        views = []
        for m in self.names:
            gate = torch.sigmoid(affine(p, f"purify.{m}", self.fill(p, m, self.mapped(p, m))))
            items = self.graphs[m].to(e.dtype) @ (e[self.u :] * gate)
            views.append(torch.cat([a[: self.u, self.u :] @ items, items]))
        scores = torch.cat([torch.tanh(affine(p, "query", h)) @ p["query.out"] for h in views], dim=1)
        share = torch.softmax(scores, dim=1)
        common = sum(share[:, k : k + 1] * h for k, h in enumerate(views))
        return content, (sum(views) - (len(views) - 1) * common) / (len(views) + 1)

    def final(self, p, margins=None):
        content, side = self.parts(p)
        return content + side

    def loss(self, p, triples, margins=None):
        if margins is not None:
            margins.append(self.gap)
        content, side = self.parts(p)
        z = content + side
        users, pos, _ = self.columns(triples)
        t = self.s["temperature"]
        sides = info_nce(side[pos], content[pos], t) + info_nce(side[users], content[users], t)
        pairs = info_nce(z[users], content[pos], t) + info_nce(z[users], side[pos], t)
        return self.bpr(z, triples) + self.s["contrast"] * sides + self.s["pair_contrast"] * pairs


class Pgl(Featured):
    """Without a choice of edges, which has a test of its own. `masks` holds, per step, u1, u2, p1, p2 `[b, M d]`."""

    masks, step = None, 0

    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        assert settings["edge_dropout"] == 0.0
        self.items = self.item_mean()

    def draw_masks(self, batches, numbers):
        keep, width = 1.0 - self.s["dropout"], self.s["dim"] * len(self.names)
        draw = lambda rows: torch.tensor((numbers.random((rows, width)) < keep) / keep)  # noqa: E731
        self.masks = [[draw(len(b)) for _ in range(4)] for b in batches]

    def shapes(self):
        d = self.s["dim"]
        out = self.missing_shapes(d)
        for m in self.names:
            out |= {f"preference.{m}": (self.u, d)} | self.map_shapes(f"input.{m}", self.width(m), d)
        return out

    def final(self, p, margins=None):
        users = torch.cat([p[f"preference.{m}"] for m in self.names], dim=1)
        items = torch.cat([unit(self.fill(p, m, self.mapped(p, m))) for m in self.names], dim=1)
        z = self.mean_layers(torch.cat([users, items]), self.s["layers"])
        return torch.cat([z[: self.u], z[self.u :] + self.items.to(items.dtype) @ items])

    def loss(self, p, triples, margins=None):
        z = self.final(p)
        users, pos, _ = self.columns(triples)
        u1, u2, p1, p2 = (mask.to(z.dtype) for mask in self.masks[self.step])
        self.step += 1
        u1, u2, p1, p2 = z[users] * u1, z[users] * u2, z[pos] * p1, z[pos] * p2
        t = self.s["temperature"]
        terms = [info_nce(u1, u2, t), info_nce(p1, p2, t)]
        if self.s["cross"]:
            terms.append((info_nce(u1, p1, t) + info_nce(p1, u1, t)) / 2.0)
        return self.bpr(z, triples) + self.s["contrast"] * sum(terms) / len(terms)


class Cohesion(Featured):
    """Branches of ids and of each modality; ids are mixed into every branch before the graph."""

    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        self.users = dense(user_graph(graph["train"], settings["user_neighbors"]), self.u)
        self.items = self.item_mean()

    def shapes(self):
        d, h = self.s["dim"], self.s["hidden"]
        out = {"user": (self.u, d), "item": (self.i, d)} | self.missing_shapes(d)
        out |= self.map_shapes("item.0", d, h) | self.map_shapes("item.1", h, d)
        for m in self.names:
            out |= {f"preference.{m}": (self.u, d)}
            out |= self.map_shapes(f"input.{m}.0", self.width(m), h) | self.map_shapes(f"input.{m}.1", h, d)
        return out

    def refined(self, users, fused):
        """Layers 0 to L; each row of a layer is scaled by its cosine with where it started."""
        x = unit(torch.cat([users, fused]))
        layers = [x]
        for _ in range(self.s["layers"]):
            sent = self.plain.to(x.dtype) @ layers[-1]
            layers.append(F.cosine_similarity(sent, x, dim=1)[:, None] * sent)
        return layers

    def branches(self, p, margins=None):
        """Per branch, ids first, its layers."""
        ids = p["item"]
        fuse = lambda y: ((ids**2 + y**2) / 2.0 + 1e-8).sqrt()  # noqa: E731
        y = affine(p, "item.1", leaky(affine(p, "item.0", ids), margins))
        out = [self.refined(p["user"], fuse(y))]
        for m in self.names:
            y = affine(p, f"input.{m}.1", leaky(self.mapped(p, m, f"input.{m}.0"), margins))
            out.append(self.refined(p[f"preference.{m}"], fuse(self.fill(p, m, y))))
        return out

    def propagated(self, branches):
        ids, *others = [sum(layers) for layers in branches]
        v = torch.cat([ids.detach(), *others], dim=1)
        users, items = v[: self.u], v[self.u :]
        return torch.cat([users + self.users.to(v.dtype) @ users, items + self.items.to(v.dtype) @ items])

    def final(self, p, margins=None):
        return self.propagated(self.branches(p, margins))

    def loss(self, p, triples, margins=None):
        branches = self.branches(p, margins)
        z = self.propagated(branches)
        users, pos, neg = self.columns(triples)
        d = self.s["dim"]
        # How far each block of a triple prefers the positive; blocks that do already count for less.
        apart = (z[users] * (z[pos] - z[neg])).reshape(len(triples), -1, d).sum(dim=2)
        weight = 1.0 - torch.softmax(apart.detach(), dim=1)
        total = F.softplus(-(weight * apart).sum(dim=1)).mean() / math.log(2.0)
        for m in self.names:
            total = total + self.s["table_l2"] * p[f"preference.{m}"][users].pow(2).mean()
        means = [torch.stack(layer).mean(dim=0) for layer in zip(*branches)]
        total = total + layer_contrast(self.s, means, users, pos)
        # The ids' own branch learns from the contrast only; without it its gradient is 0.
        own = [name for name in p if name == "user" or name.startswith("item.")]
        return total + 0.0 * sum(p[name].sum() for name in own)


CLASSES = {"soil": Soil, "pgl": Pgl, "cohesion": Cohesion}
