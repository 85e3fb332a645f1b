"""NSMAR+, LightGCN and BPR in PyTorch, written from the papers' equations: slow, plain, double precision.

Nothing here follows the Rust code. Every sum over neighbours is a loop or a dense matrix, so that a reader can
check it against the equations. Letters: U users, I items, N = U + I nodes (users first), d width, n neighbours.
"""

import math

import torch
import torch.nn.functional as F

import losses

SLOPE = 0.01  # LeakyReLU
CONSTANT_ROW = 1e-12  # below this centred norm a row has no direction: its Pearson correlations are 0


# ---- graphs, from the train interactions and the raw features -------------------------------------------------


def neighbour_lists(train, users, items):
    """Neighbours of every node: users see items (as nodes U + i), items see users."""
    lists = [[users + i for i in row] for row in train] + [[] for _ in range(items)]
    for u, row in enumerate(train):
        for i in row:
            lists[users + i].append(u)
    return lists


def symmetric_adjacency(lists):
    """Dense D^-1/2 A D^-1/2 without self loops; rows and columns of nodes without edges are 0."""
    n = len(lists)
    a = torch.zeros(n, n, dtype=torch.float64)
    for t, row in enumerate(lists):
        for j in row:
            a[t, j] = 1.0 / math.sqrt(len(row) * len(lists[j]))
    return a


def softmax(values):
    top = max(values)
    exp = [math.exp(v - top) for v in values]
    return [e / sum(exp) for e in exp]


def user_graph(train, keep, weight="count"):
    """Per user the `keep` users who share most items (then the smaller id), softmax over what was kept."""
    rows = []
    for u, mine in enumerate(train):
        found = []
        for o, theirs in enumerate(train):
            common = len(set(mine) & set(theirs))
            if o == u or common == 0:
                continue
            value = {
                "count": float(common),
                "jaccard": common / (len(mine) + len(theirs) - common),
                "cosine": common / math.sqrt(len(mine) * len(theirs)),
            }[weight]
            found.append((o, value))
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        found = found[:keep]
        rows.append(list(zip([o for o, _ in found], softmax([v for _, v in found]))) if found else [])
    return rows


def item_graph(features, missing, shares, keep):
    """Per modality the `keep` nearest other items by cosine, softmax over the cosines, mixed by `shares`.

    An item without features in a modality has no neighbours there; the shares of its other modalities are scaled
    to sum to 1.
    """
    names = list(features)
    items = len(missing[names[0]])
    rows = [{} for _ in range(items)]
    for i in range(items):
        have = [m for m in names if not missing[m][i]]
        total = sum(shares[m] for m in have)
        for m in have:
            x = features[m]
            cosines = []
            for j in range(items):
                if j == i:
                    continue
                norms = x[i].norm() * x[j].norm()
                cosines.append((j, float(x[i] @ x[j] / norms) if norms > 0 else 0.0))
            cosines.sort(key=lambda pair: (-pair[1], pair[0]))
            kept = cosines[:keep]
            for (j, _), w in zip(kept, softmax([c for _, c in kept])):
                rows[i][j] = rows[i].get(j, 0.0) + shares[m] / total * w
    return [sorted(row.items()) for row in rows]


def dense(rows, size):
    out = torch.zeros(size, size, dtype=torch.float64)
    for r, row in enumerate(rows):
        for j, w in row:
            out[r, j] += w
    return out


# ---- layers ----------------------------------------------------------------------------------------------------


def pearson_rows(x):
    """x̂: rows centred and scaled to length 1; a constant row becomes 0."""
    centred = x - x.mean(dim=1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    safe = torch.where(norm < CONSTANT_ROW, torch.ones_like(norm), norm)
    return torch.where(norm < CONSTANT_ROW, torch.zeros_like(centred), centred / safe)


def weights(x, neighbours):
    """α_j / (√n mean(α)) of every neighbour j of a target, α_j = 1/n Σ_k ReLU(x̂_j · x̂_k), k over all n of them, j among them."""
    unit = pearson_rows(x)[torch.tensor(neighbours)]
    alpha = F.relu(unit @ unit.T).mean(dim=1)
    return alpha / (alpha.mean() * math.sqrt(len(neighbours)))


def neighbour_similarity(x, lists):
    """Σ_j w_j x_j for every target; the weights are constants of the gradient."""
    rows = []
    for neighbours in lists:
        if not neighbours:
            rows.append(torch.zeros(x.shape[1], dtype=x.dtype))
            continue
        rows.append(weights(x.detach(), neighbours) @ x[torch.tensor(neighbours)])
    return torch.stack(rows)


def affine(p, name, x):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def leaky(x, margins=None):
    if margins is not None:
        margins.append(x.detach().abs().min().item())
    return F.leaky_relu(x, SLOPE)


def info_nce(a, c, temperature):
    """Each row of `a` finds the row of `c` at its place among all rows of `c`, by cosine."""
    a, c = F.normalize(a, dim=1), F.normalize(c, dim=1)
    return F.cross_entropy(a @ c.T / temperature, torch.arange(len(a)))


def layer_contrast(settings, layers, users, pos):
    """Each pair's item in a layer finds its user in the layer below, and the user the item: summed over layers."""
    weight, balance, t = (settings.get(k, 0.0) for k in ("neighbor_contrast", "contrast_balance", "temperature"))
    total = 0.0
    if weight:
        for below, above in zip(layers, layers[1:]):
            total = total + balance * info_nce(above[pos], below[users], t)
            total = total + (1.0 - balance) * info_nce(above[users], below[pos], t)
    return weight * total


# ---- models ----------------------------------------------------------------------------------------------------


class Nsmar:
    """All variants of NSMAR+, and the vectors of Alloy; `settings` holds the choices, `graph` the train lists, features
    and fixed graphs. Alloy goes without modalities too: then there is one branch, whose items are the table alone."""

    def __init__(self, settings, graph):
        self.s, self.g = settings, graph
        self.names = [m for m in graph["features"] if m not in settings["exclude"]] or ["item"]
        self.lists = neighbour_lists(graph["train"], graph["users"], graph["items"])
        self.plain = symmetric_adjacency(self.lists)
        degree = torch.tensor([float(len(row)) for row in self.lists], dtype=torch.float64)
        self.damping = degree.clamp(min=1).rsqrt()[:, None]
        u, i = graph["users"], graph["items"]
        self.near = torch.zeros(u + i, u + i, dtype=torch.float64)
        if settings["user_graph"]:
            self.near[:u, :u] = dense(graph["user_graph"], u)
        if settings["item_graph"]:
            self.near[u:, u:] = dense(graph["item_graph"], i)

    def shapes(self):
        s, d = self.s, self.s["dim"]
        u, i = self.g["users"], self.g["items"]
        out = {"item": (i, d), "mix": (u, len(self.names))}
        if s["alignment"] == "mlp" and self.names != ["item"]:
            out |= {"shared.weight": (d, d), "shared.bias": (d,)}
        for m in self.names:
            out[f"user.{m}"] = (u, d)
            if m not in self.g["features"]:
                continue
            width = self.g["features"][m].shape[1]
            if any(self.g["missing"][m]):
                out[f"missing.{m}"] = (d,)
            if s["alignment"] == "mlp":
                h = s["hidden"]
                out |= {f"align.{m}.0.weight": (width, h), f"align.{m}.0.bias": (h,)}
                out |= {f"align.{m}.1.weight": (h, d), f"align.{m}.1.bias": (d,)}
            else:
                out |= {f"input.{m}.weight": (width, d), f"input.{m}.bias": (d,)}
            if s["alignment"] == "matrix":
                out[f"align.{m}.matrix"] = (d, d)
        if s["scorer"] == "mlp":
            wide = d * len(self.names)
            for side in ("user", "item"):
                out |= {f"score.{side}.0.weight": (wide, d), f"score.{side}.0.bias": (d,)}
                out[f"score.{side}.1.weight"] = (d, wide)
        return out

    def aligned(self, p, m, margins):
        """Items in the shared space, without their own rows."""
        x = self.g["features"][m].to(p[f"user.{m}"].dtype)
        norm = x.norm(dim=1, keepdim=True)
        x = torch.where(norm > 0, x / norm.clamp(min=1e-30), x)
        kind = self.s["alignment"]
        if kind == "mlp":
            rows = affine(p, f"align.{m}.1", leaky(affine(p, f"align.{m}.0", x), margins))
        else:
            rows = affine(p, f"input.{m}", x)
        if f"missing.{m}" in p:
            absent = torch.tensor(self.g["missing"][m])[:, None]
            rows = torch.where(absent, p[f"missing.{m}"][None, :], rows)
        if kind == "mlp":
            return affine(p, "shared", rows)
        return rows @ p[f"align.{m}.matrix"] if kind == "matrix" else rows

    def modality(self, p, m, margins):
        """Σ_l x^(l), the users' rows by their weights."""
        aligned = self.aligned(p, m, margins) if m in self.g["features"] else 0.0
        x = torch.cat([p[f"user.{m}"], aligned + p["item"]])
        x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)
        total = x
        for _ in range(self.s["layers"]):
            if self.s["aggregation"] == "similarity":
                x = neighbour_similarity(x * self.damping.to(x.dtype), self.lists)
            else:
                x = self.plain.to(x.dtype) @ x
            total = total + x
        u = self.g["users"]
        at = self.names.index(m)
        return torch.cat([total[:u] * p["mix"][:, at : at + 1], total[u:]])

    def final(self, p, margins=None):
        fused = torch.cat([self.modality(p, m, margins) for m in self.names], dim=1)
        z = fused + self.near.to(fused.dtype) @ fused
        if self.s["scorer"] == "dot":
            return z
        u = self.g["users"]
        sides = []
        for side, rows in (("user", z[:u]), ("item", z[u:])):
            hidden = leaky(affine(p, f"score.{side}.0", rows), margins)
            sides.append(rows + hidden @ p[f"score.{side}.1.weight"])
        return torch.cat(sides)

    def loss(self, p, triples, margins=None):
        z = self.final(p, margins)
        users, pos, neg = (torch.tensor(column) for column in zip(*triples))
        offset = self.g["users"]
        yp = (z[users] * z[offset + pos]).sum(dim=1)
        yn = (z[users] * z[offset + neg]).sum(dim=1)
        norms = sum(p[f"user.{m}"][users].pow(2).sum() for m in self.names)
        norms = norms + p["item"][pos].pow(2).sum() + p["item"][neg].pow(2).sum()
        loss = F.softplus(yn - yp).mean() + self.s["l2"] / len(triples) * norms
        if weight := self.s.get("contrast"):  # the user of a pair finds its item among all items of the batch
            cosines = F.normalize(z[users]) @ F.normalize(z[offset + pos]).T
            loss = loss + weight * F.cross_entropy(cosines / self.s["temperature"], torch.arange(len(triples)))
        return loss


class Factors:
    """LightGCN, and with `layers` = 0 matrix factorisation: one table `embedding [N, d]`, dot products."""

    def __init__(self, settings, graph):
        self.s, self.g = settings, graph
        self.plain = symmetric_adjacency(neighbour_lists(graph["train"], graph["users"], graph["items"]))

    def shapes(self):
        return {"embedding": (self.g["users"] + self.g["items"], self.s["dim"])}

    def layers(self, p):
        layers = [p["embedding"]]
        for _ in range(self.s.get("layers", 0)):
            layers.append(self.plain.to(layers[0].dtype) @ layers[-1])
        return layers

    def final(self, p, margins=None):
        return torch.stack(self.layers(p)).mean(dim=0)

    def loss(self, p, triples, margins=None):
        layers, ego = self.layers(p), p["embedding"]
        z = torch.stack(layers).mean(dim=0)
        users, pos, neg = (torch.tensor(column) for column in zip(*triples))
        pos, neg = pos + self.g["users"], neg + self.g["users"]
        norms = sum(ego[rows].pow(2).sum() for rows in (users, pos, neg))
        ranking = losses.rank(self.s, self.beta, z, users, pos, neg)
        loss = ranking + self.s["l2"] / len(triples) * norms
        return loss + layer_contrast(self.s, layers, users, pos)


def nearest_with_self(features, missing, keep):
    """Per item the `keep` nearest by cosine, itself first with cosine 1; none for an item without features."""
    rows = []
    for i in range(len(missing)):
        if missing[i]:
            rows.append([])
            continue
        cosines = []
        for j in range(len(missing)):
            if j != i:
                norms = features[i].norm() * features[j].norm()
                cosines.append((j, float(features[i] @ features[j] / norms) if norms > 0 else 0.0))
        cosines.sort(key=lambda pair: (-pair[1], pair[0]))
        rows.append([(i, 1.0)] + cosines[: keep - 1])
    return rows


def symmetric(weights):
    """D^-1/2 W D^-1/2 with row sums in D; 0 where a sum is 0."""
    sums = weights.sum(dim=1)
    root = torch.where(sums > 0, sums.clamp(min=1e-30).rsqrt(), torch.zeros_like(sums))
    return root[:, None] * weights * root[None, :]


def unit(x):
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)


class Featured:
    """What models with item features share: names, maps of features, learned rows where features are missing."""

    def __init__(self, settings, graph):
        self.s, self.g = settings, graph
        self.u, self.i = graph["users"], graph["items"]
        self.names = list(graph["features"])
        self.lists = neighbour_lists(graph["train"], self.u, self.i)
        self.plain = symmetric_adjacency(self.lists)

    def width(self, m):
        return self.g["features"][m].shape[1]

    def missing_shapes(self, d, names=None):
        return {f"missing.{m}": (d,) for m in names or self.names if any(self.g["missing"][m])}

    def map_shapes(self, name, rows, cols):
        return {f"{name}.weight": (rows, cols), f"{name}.bias": (cols,)}

    def fill(self, p, m, rows):
        if f"missing.{m}" not in p:
            return rows
        absent = torch.tensor(self.g["missing"][m])[:, None]
        return torch.where(absent, p[f"missing.{m}"][None, :], rows)

    def mapped(self, p, m, name=None):
        x = self.g["features"][m].to(p[f"{name or 'input.' + m}.weight"].dtype)
        return affine(p, name or f"input.{m}", x)

    def layers(self, e, layers):
        rows = [e]
        for _ in range(layers):
            rows.append(self.plain.to(e.dtype) @ rows[-1])
        return rows

    def mean_layers(self, e, layers):
        return torch.stack(self.layers(e, layers)).mean(dim=0)

    def item_mean(self):
        """Mean of each modality's nearest items, mixed over the modalities that an item has."""
        shares = self.s["item_weights"]
        out = torch.zeros(self.i, self.i, dtype=torch.float64)
        for i in range(self.i):
            have = [m for m in self.names if not self.g["missing"][m][i]]
            for m in have:
                near = self.near(m)[i]
                for j, _ in near:
                    out[i, j] += shares[m] / sum(shares[h] for h in have) / len(near)
        return out

    def near(self, m):
        return nearest_with_self(self.g["features"][m], self.g["missing"][m], self.s["item_neighbors"])

    def item_cosines(self, m):
        rows = [[(j, max(w, 0.0)) for j, w in row] for row in self.near(m)]
        return symmetric(dense(rows, self.i))

    def columns(self, triples):
        users, pos, neg = (torch.tensor(column) for column in zip(*triples))
        return users, pos + self.u, neg + self.u

    def bpr(self, z, triples):
        return losses.rank(self.s, self.beta, z, *self.columns(triples))

    def pairs(self, triples):
        """Users and positives of each pair once, where it is there with several negatives."""
        return [rows[:: self.s.get("negatives", 1)] for rows in self.columns(triples)[:2]]

    def norms(self, table, triples):
        rows = self.columns(triples)[: 2 if self.s.get("loss") == "directau" else 3]
        return sum(table[r].pow(2).sum() for r in rows) / len(triples)


class Vbpr(Featured):
    def shapes(self):
        d = self.s["dim"]
        out = {"user": (self.u, 2 * d), "item": (self.i, d)} | self.missing_shapes(d)
        for m in self.names:
            out |= self.map_shapes(f"input.{m}", self.width(m), d)
        return out

    def final(self, p, margins=None):
        seen = sum(self.fill(p, m, self.mapped(p, m)) for m in self.names)
        return torch.cat([p["user"], torch.cat([p["item"], seen], dim=1)])

    def loss(self, p, triples, margins=None):
        z = self.final(p)
        return self.bpr(z, triples) + self.s["l2"] * self.norms(z, triples)


class Towers(Featured):
    """DualGNN and DRAGON."""

    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        near = user_graph(graph["train"], settings["user_neighbors"], settings["user_weight"])
        self.user_graph = dense(near, self.u)
        self.dragon = "item_neighbors" in settings
        self.items = self.item_mean() if self.dragon else None

    def shapes(self):
        d, h = self.s["dim"], self.s["hidden"]
        out = {"mix": (self.u, len(self.names))} | self.missing_shapes(d)
        for m in self.names:
            out |= {f"preference.{m}": (self.u, d)}
            out |= self.map_shapes(f"input.{m}.0", self.width(m), h) | self.map_shapes(f"input.{m}.1", h, d)
        return out

    def final(self, p, margins=None):
        users, items = [], []
        for k, m in enumerate(self.names):
            hidden = leaky(self.mapped(p, m, f"input.{m}.0"), margins)
            x = unit(torch.cat([p[f"preference.{m}"], self.fill(p, m, affine(p, f"input.{m}.1", hidden))]))
            total = x
            for _ in range(self.s["layers"]):
                x = self.plain.to(x.dtype) @ x
                total = total + x
            users.append(p["mix"][:, k : k + 1] * total[: self.u])
            items.append(total[self.u :])
        if self.dragon:
            users, items = torch.cat(users, dim=1), torch.cat(items, dim=1)
            near = items
            for _ in range(self.s["item_layers"]):
                near = self.items.to(near.dtype) @ near
            items = items + near
        else:
            users, items = sum(users), sum(items)
        return torch.cat([users + self.user_graph.to(users.dtype) @ users, items])

    def loss(self, p, triples, margins=None):
        users = self.columns(triples)[0]
        own = [p["mix"]] + [p[f"preference.{m}"] for m in self.names]
        norms = sum(table[users].pow(2).sum() for table in own) / len(triples)
        return self.bpr(self.final(p, margins), triples) / math.log(2.0) + self.s["l2"] * norms


class Freedom(Featured):
    """Without dropout of edges, which has a test of its own."""

    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        assert settings["dropout"] == 0.0
        self.items = self.item_mean()

    def shapes(self):
        d = self.s["dim"]
        out = {"embedding": (self.u + self.i, d)} | self.missing_shapes(d)
        for m in self.names:
            out |= {f"input.{m}.weight": (self.width(m), d)}  # a bias would cancel in every difference
        return out

    def final(self, p, margins=None):
        e = p["embedding"]
        near = e[self.u :]
        for _ in range(self.s["item_layers"]):
            near = self.items.to(e.dtype) @ near
        z = self.mean_layers(e, self.s["layers"])
        return torch.cat([z[: self.u], z[self.u :] + near])

    def loss(self, p, triples, margins=None):
        z = self.final(p)
        total = self.bpr(z, triples)
        for m in self.names:
            table = torch.cat([z[: self.u], self.fill(p, m, self.g["features"][m].to(z.dtype) @ p[f"input.{m}.weight"])])
            total = total + self.s["auxiliary"] * self.bpr(table, triples)
        users, pos, _ = self.columns(triples)
        return total + layer_contrast(self.s, self.layers(p["embedding"], self.s["layers"]), users, pos)


class Mgcn(Featured):
    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        self.graphs = {m: self.item_cosines(m) for m in self.names}

    def shapes(self):
        d = self.s["dim"]
        out = {"embedding": (self.u + self.i, d), "query.out": (d, 1)} | self.missing_shapes(d)
        out |= self.map_shapes("query", d, d)
        for m in self.names:
            out |= self.map_shapes(f"input.{m}", self.width(m), d)
            out |= self.map_shapes(f"purify.{m}", d, d) | self.map_shapes(f"prefer.{m}", d, d)
        return out

    def parts(self, p):
        e = p["embedding"]
        content = self.mean_layers(e, self.s["layers"])
        rated = self.plain[: self.u, self.u :].to(e.dtype)
        sides = []
        for m in self.names:
            x = e[self.u :] * torch.sigmoid(affine(p, f"purify.{m}", self.fill(p, m, self.mapped(p, m))))
            for _ in range(self.s["item_layers"]):
                x = self.graphs[m].to(e.dtype) @ x
            sides.append(torch.cat([rated @ x, x]))
        scores = torch.cat([torch.tanh(affine(p, "query", h)) @ p["query.out"] for h in sides], dim=1)
        share = torch.softmax(scores, dim=1)
        common = sum(share[:, k : k + 1] * h for k, h in enumerate(sides))
        own = [
            (h - common) * torch.sigmoid(affine(p, f"prefer.{m}", content)) for m, h in zip(self.names, sides)
        ]
        return content, (sum(own) + common) / (len(sides) + 1)

    def final(self, p, margins=None):
        content, side = self.parts(p)
        return content + side

    def loss(self, p, triples, margins=None):
        content, side = self.parts(p)
        users, pos = self.pairs(triples)
        total = self.bpr(content + side, triples) + self.s["l2"] * self.norms(content + side, triples)
        t = self.s["temperature"]
        contrast = info_nce(side[pos], content[pos], t) + info_nce(side[users], content[users], t)
        return total + self.s["contrast"] * contrast


class Mmgcn(Featured):
    def shapes(self):
        d = self.s["dim"]
        out = {"embedding": (self.u + self.i, d)}
        for m in self.names:
            latent = min(self.s["latent"], self.width(m))
            out |= self.missing_shapes(latent, [m]) | {f"preference.{m}": (self.u, latent)}
            out |= self.map_shapes(f"input.{m}", self.width(m), latent)
            for l in range(1, self.s["layers"] + 1):
                width = latent if l == 1 else d
                out |= {f"heard.{m}.{l}": (width, width)} | self.map_shapes(f"own.{m}.{l}", width, d)
                out |= self.map_shapes(f"joined.{m}.{l}", width + d, d)
        return out

    def final(self, p, margins=None):
        outputs = []
        for m in self.names:
            x = unit(torch.cat([p[f"preference.{m}"], self.fill(p, m, self.mapped(p, m))]))
            for l in range(1, self.s["layers"] + 1):
                sent = x @ p[f"heard.{m}.{l}"]
                heard = torch.stack([sent[torch.tensor(n)].mean(dim=0) if n else 0 * sent[0] for n in self.lists])
                # A node without neighbours hears 0, and the rectifier's slope there does not matter.
                if margins is not None:
                    leaky(heard[torch.tensor([bool(n) for n in self.lists])], margins)
                own = leaky(affine(p, f"own.{m}.{l}", x), margins) + p["embedding"]
                x = leaky(affine(p, f"joined.{m}.{l}", torch.cat([leaky(heard), own], dim=1)), margins)
            outputs.append(x)
        return sum(outputs) / len(outputs)

    def loss(self, p, triples, margins=None):
        users = self.columns(triples)[0]
        norms = self.norms(p["embedding"], triples)
        norms = norms + sum(p[f"preference.{m}"][users].pow(2).sum() for m in self.names) / len(triples)
        return self.bpr(self.final(p, margins), triples) + self.s["l2"] * norms


class Lattice(Featured):
    def __init__(self, settings, graph):
        super().__init__(settings, graph)
        self.frozen = {m: self.item_cosines(m) for m in self.names}
        self.nearest = {}

    def shapes(self):
        d = self.s["dim"]
        out = {"embedding": (self.u + self.i, d), "weights": (1, len(self.names))} | self.missing_shapes(d)
        for m in self.names:
            out |= self.map_shapes(f"input.{m}", self.width(m), d)
        return out

    def final(self, p, margins=None):
        e, keep = p["embedding"], self.s["keep"]
        share = torch.softmax(p["weights"][0], dim=0)
        learned, frozen = 0.0, 0.0
        for k, m in enumerate(self.names):
            rows = F.normalize(self.fill(p, m, self.mapped(p, m)), dim=1)
            cosines = rows @ rows.T
            if m not in self.nearest:  # found once an epoch, from the parameters it starts with
                top = cosines.detach().topk(self.s["item_neighbors"] + 1, dim=1)
                self.nearest[m] = torch.zeros_like(cosines).scatter(1, top.indices[:, :-1], 1.0).double()
                self.gap = min((top.values[:, -2] - top.values[:, -1]).min().item(), getattr(self, "gap", 1.0))
            near = self.nearest[m].to(e.dtype)
            if margins is not None:
                margins.append((cosines.detach().abs() + (1.0 - near)).min().item())
                margins.append(self.gap)
            learned = learned + share[k] * F.relu(cosines) * near
            frozen = frozen + share[k] * self.frozen[m].to(e.dtype)
        root = learned.sum(dim=1).rsqrt()
        graph = (1.0 - keep) * root[:, None] * learned * root[None, :] + keep * frozen
        h = e[self.u :]
        for _ in range(self.s["item_layers"]):
            h = graph @ h
        z = self.mean_layers(e, self.s["layers"])
        return torch.cat([z[: self.u], z[self.u :] + F.normalize(h, dim=1)])

    def loss(self, p, triples, margins=None):
        z = self.final(p, margins)
        return self.bpr(z, triples) + self.s["l2"] * self.norms(z, triples)


class Bm3(Featured):
    """Pairs without negatives. `masks` holds, per step, factors per value for the batch's rows and for its items' rows."""

    masks, step = None, 0

    def draw_masks(self, batches, numbers):
        """As many as the model asks for in each step: for the batch's rows, then for its items' rows in each modality."""
        keep = 1.0 - self.s["dropout"]
        draw = lambda rows: torch.tensor((numbers.random((rows, self.s["dim"])) < keep) / keep)  # noqa: E731
        sizes = [(len({t[0] for t in b}), len({t[1] for t in b})) for b in batches]
        self.masks = [[draw(users + items)] + [draw(items) for _ in self.names] for users, items in sizes]

    def shapes(self):
        d = self.s["dim"]
        out = {"user": (self.u, d), "item": (self.i, d)}
        for m in self.names:
            out |= self.missing_shapes(d, [m]) | self.map_shapes(f"input.{m}", self.width(m), d)
        return out | self.map_shapes("predictor", d, d)

    def rows(self, p):
        z = self.mean_layers(torch.cat([p["user"], p["item"]]), self.s["layers"])
        return torch.cat([z[: self.u], z[self.u :] + p["item"]])

    def final(self, p, margins=None):
        return affine(p, "predictor", self.rows(p))

    def loss(self, p, triples, margins=None):
        users, items = [t[0] for t in triples], [t[1] for t in triples]
        z = self.rows(p)
        local = sorted(set(users)) + sorted({self.u + i for i in items})
        own = sorted(set(items))
        step = self.masks[self.step]
        self.step += 1
        target = z.detach().clone()
        target[local] = target[local] * step[0].to(z.dtype)
        online = affine(p, "predictor", z)
        cos = torch.nn.functional.cosine_similarity
        apart = lambda a, b: (1.0 - cos(a, b, dim=1)).mean()  # noqa: E731
        nodes = [self.u + i for i in items]
        total = apart(online[users], target[nodes]) + apart(online[nodes], target[users])
        for m, mask in zip(self.names, step[1:]):
            f = self.fill(p, m, self.mapped(p, m))
            goal = f.detach().clone()
            goal[own] = goal[own] * mask.to(f.dtype)
            seen = affine(p, "predictor", f)[items]
            total = total + self.s["contrast"] * (apart(seen, target[nodes]) + apart(seen, goal[items]))
        squares = (z[users] ** 2).sum() + (z[nodes] ** 2).sum()
        return total + self.s["l2"] * squares / len(triples)


class Fism(Featured):
    def shapes(self):
        d = self.s["dim"]
        out = {"history": (self.i, d), "target": (self.i, d), "item_bias": (self.i, 1)}
        return out | ({"user_bias": (self.u, 1)} if self.s["loss"] == "rmse" else {})

    def profile(self, p, user, without=None):
        own = [j for j in self.g["train"][user] if j != without]
        if not own:
            return 0.0 * p["history"][0]
        return p["history"][torch.tensor(own)].sum(dim=0) / len(own) ** self.s["alpha"]

    def final(self, p, margins=None):
        users = torch.stack([self.profile(p, u) for u in range(self.u)])
        users = torch.cat([users, torch.ones(self.u, 1, dtype=users.dtype)], dim=1)
        return torch.cat([users, torch.cat([p["target"], p["item_bias"]], dim=1)])

    def loss(self, p, triples, margins=None):
        total = 0.0
        for u, i, j in triples:
            rest = self.profile(p, u, without=i)
            y = p["item_bias"][i, 0] + rest @ p["target"][i]
            norms = sum(p[n][k].pow(2).sum() for n in ("history", "target", "item_bias") for k in (i, j))
            if self.s["loss"] == "auc":
                error = (1.0 - (y - p["item_bias"][j, 0] - rest @ p["target"][j])) ** 2
            else:
                bias = p["user_bias"][u, 0]
                other = p["item_bias"][j, 0] + bias + self.profile(p, u) @ p["target"][j]
                error = (1.0 - y - bias) ** 2 + self.s["rho"] * other**2
                norms = norms + bias**2
            total = total + 0.5 * error + self.s["l2"] * norms
        return total / len(triples)


CLASSES = {
    "lightgcn": Factors, "nlgcl": Factors, "bpr": Factors, "vbpr": Vbpr, "dualgnn": Towers, "dragon": Towers, "freedom": Freedom,
    "mgcn": Mgcn, "mmgcn": Mmgcn, "lattice": Lattice, "fism": Fism, "bm3": Bm3,
}  # fmt: skip
