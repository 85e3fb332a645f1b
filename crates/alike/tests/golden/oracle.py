"""NSMAR+, LightGCN and BPR in PyTorch, written from the papers' equations: slow, plain, double precision.

Nothing here follows the Rust code. Every sum over neighbours is a loop or a dense matrix, so that a reader can
check it against the equations. Letters: U users, I items, N = U + I nodes (users first), d width, n neighbours.
"""

import math

import torch
import torch.nn.functional as F

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


def neighbour_similarity(x, lists, margins=None):
    """Σ_j α_j x_j for every target, α_j = 1/n Σ_k ReLU(x̂_j · x̂_k), k over all n neighbours, j among them."""
    unit = pearson_rows(x)
    rows = []
    for neighbours in lists:
        if not neighbours:
            rows.append(torch.zeros(x.shape[1], dtype=x.dtype))
            continue
        near = torch.tensor(neighbours)
        r = unit[near] @ unit[near].T
        if margins is not None:
            margins.append(r.detach().abs().min().item())
        alpha = F.relu(r).mean(dim=1)
        rows.append(alpha @ x[near])
    return torch.stack(rows)


def affine(p, name, x):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def leaky(x, margins=None):
    if margins is not None:
        margins.append(x.detach().abs().min().item())
    return F.leaky_relu(x, SLOPE)


# ---- models ----------------------------------------------------------------------------------------------------


class Nsmar:
    """All variants of NSMAR+; `settings` holds the choices, `graph` the train lists, features and fixed graphs."""

    def __init__(self, settings, graph):
        self.s, self.g = settings, graph
        self.names = [m for m in graph["features"] if m not in settings["exclude"]]
        self.lists = neighbour_lists(graph["train"], graph["users"], graph["items"])
        self.plain = symmetric_adjacency(self.lists)
        degree = torch.tensor([float(len(row)) for row in self.lists], dtype=torch.float64)
        self.inverse_root = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), torch.zeros_like(degree))[:, None]
        u, i = graph["users"], graph["items"]
        self.mix = torch.zeros(u + i, u + i, dtype=torch.float64)
        if settings["user_graph"]:
            self.mix[:u, :u] = dense(graph["user_graph"], u)
        if settings["item_graph"]:
            self.mix[u:, u:] = dense(graph["item_graph"], i)

    def shapes(self):
        s, d = self.s, self.s["dim"]
        u, i = self.g["users"], self.g["items"]
        out = {}
        if s["item_ids"]:
            out["item"] = (i, d)
        for m in self.names:
            width = self.g["features"][m].shape[1]
            out[f"user.{m}"] = (u, d)
            if s["input"] == "linear":
                out |= {f"input.{m}.weight": (width, d), f"input.{m}.bias": (d,)}
            else:
                out |= {f"input.{m}.0.weight": (width, d), f"input.{m}.0.bias": (d,)}
                out |= {f"input.{m}.1.weight": (d, d), f"input.{m}.1.bias": (d,)}
            if any(self.g["missing"][m]):
                out[f"missing.{m}"] = (d,)
            if s["transform"] == "mlp":
                for l in range(1, s["layers"] + 1):
                    out |= {f"transform.{m}.{l}.weight": (d, d), f"transform.{m}.{l}.bias": (d,)}
            if s["alignment"] == "mlp":
                for k in (0, 1):
                    out |= {f"align.{m}.{k}.weight": (d, d), f"align.{m}.{k}.bias": (d,)}
            elif s["alignment"] == "matrix":
                out[f"align.{m}.matrix"] = (d, d)
        if s["alignment"] == "mlp":
            out |= {"shared.weight": (d, d), "shared.bias": (d,)}
        if s["scorer"] == "mlp":
            width, h = d * len(self.names), s["hidden"]
            out |= {"score.user": (width, h), "score.item": (width, h), "score.bias": (h,), "score.out": (h,)}
        return out

    def start(self, p, m, margins):
        x = self.g["features"][m].to(p[f"user.{m}"].dtype)
        if self.s["normalize_input"]:
            norm = x.norm(dim=1, keepdim=True)
            x = torch.where(norm > 0, x / norm.clamp(min=1e-30), x)
        if self.s["input"] == "linear":
            rows = affine(p, f"input.{m}", x)
        else:
            rows = affine(p, f"input.{m}.1", leaky(affine(p, f"input.{m}.0", x), margins))
        if f"missing.{m}" in p:
            absent = torch.tensor(self.g["missing"][m])[:, None]
            rows = torch.where(absent, p[f"missing.{m}"][None, :], rows)
        return rows + p["item"] if self.s["item_ids"] else rows

    def modality(self, p, m, margins):
        """Σ_l x^(l), aligned."""
        x = torch.cat([p[f"user.{m}"], self.start(p, m, margins)])
        total = x
        for l in range(1, self.s["layers"] + 1):
            similar = self.s["aggregation"] == "similarity"
            x = neighbour_similarity(x, self.lists, margins) if similar else self.plain.to(x.dtype) @ x
            if self.s["transform"] == "mlp":
                z = affine(p, f"transform.{m}.{l}", x)
                # A target without neighbours gets 0 below; its rectifier does not count as a margin.
                near = self.inverse_root[:, 0] > 0
                if margins is not None:
                    leaky(z[near] if similar else z, margins)
                x = leaky(z)
            if similar:
                x = x * self.inverse_root.to(x.dtype)
            total = total + x
        if self.s["alignment"] == "matrix":
            return total @ p[f"align.{m}.matrix"]
        if self.s["alignment"] == "mlp":
            total = affine(p, f"align.{m}.1", leaky(affine(p, f"align.{m}.0", total), margins))
            return affine(p, "shared", total)
        return total

    def final(self, p, margins=None):
        """Z [N, d · modalities]."""
        z = torch.cat([self.modality(p, m, margins) for m in self.names], dim=1)
        return z + self.mix.to(z.dtype) @ z

    def score(self, p, zu, zi, margins=None):
        if self.s["scorer"] == "dot":
            return (zu * zi).sum(dim=1)
        hidden = zu @ p["score.user"] + p["score.bias"] + zi @ p["score.item"]
        if margins is not None:
            margins.append(hidden.detach().abs().min().item())
        return F.relu(hidden) @ p["score.out"]

    def loss(self, p, triples, margins=None):
        z = self.final(p, margins)
        users, pos, neg = (torch.tensor(column) for column in zip(*triples))
        offset = self.g["users"]
        yp = self.score(p, z[users], z[offset + pos], margins)
        yn = self.score(p, z[users], z[offset + neg], margins)
        total = F.softplus(yn - yp).mean()
        norms = sum(p[f"user.{m}"][users].pow(2).sum() for m in self.names)
        if self.s["item_ids"]:
            norms = norms + p["item"][pos].pow(2).sum() + p["item"][neg].pow(2).sum()
        total = total + self.s["l2"] / len(triples) * norms
        if self.s["l2_weights"]:
            tables = {"item"} | {f"user.{m}" for m in self.names}
            weights = [v for name, v in p.items() if v.dim() == 2 and name not in tables]
            total = total + self.s["l2"] * sum(w.pow(2).sum() for w in weights)
        return total


class Factors:
    """LightGCN, and with `layers` = 0 matrix factorisation: one table `embedding [N, d]`, dot products."""

    def __init__(self, settings, graph):
        self.s, self.g = settings, graph
        self.plain = symmetric_adjacency(neighbour_lists(graph["train"], graph["users"], graph["items"]))

    def shapes(self):
        return {"embedding": (self.g["users"] + self.g["items"], self.s["dim"])}

    def final(self, p, margins=None):
        x = p["embedding"]
        layers = [x]
        for _ in range(self.s.get("layers", 0)):
            layers.append(self.plain.to(x.dtype) @ layers[-1])
        return torch.stack(layers).mean(dim=0)

    def loss(self, p, triples, margins=None):
        z, ego = self.final(p), p["embedding"]
        users, pos, neg = (torch.tensor(column) for column in zip(*triples))
        pos, neg = pos + self.g["users"], neg + self.g["users"]
        gap = (z[users] * z[neg]).sum(dim=1) - (z[users] * z[pos]).sum(dim=1)
        norms = sum(ego[rows].pow(2).sum() for rows in (users, pos, neg))
        return F.softplus(gap).mean() + self.s["l2"] / len(triples) * norms
