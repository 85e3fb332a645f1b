"""Compares the peers with plain loops in float64 on tiny data: losses, gradients of one way against the other, ranking, negatives.

    python benches/gpu/check.py [--device cuda]
"""

import argparse
import math
import pathlib
import tempfile

import numpy as np
import torch

import folder as folders
import graphs
import lightgcn
import nsmar
import sparse
import synthetic
from ranking import TOP, Ranking


def tiny(path):
    """A folder with an item without features, a user with more than K items and an item that nobody took in train."""
    user, item = synthetic.pairs(60, 90, 1200, seed=3)
    extra = np.arange(80)
    pairs = np.unique(np.concatenate([np.stack([user, item], 1), np.stack([0 * extra + 7, extra], 1)]), axis=0)
    pairs = np.concatenate([pairs[pairs[:, 1] != 5], [[3, 90]]])
    (path / "log.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in pairs), encoding="utf-8")
    rng, features = np.random.default_rng(1), {}
    for name, width in (("text", 12), ("image", 7)):
        values = rng.standard_normal((91, width)).astype(np.float32)
        values[4] = 0 if name == "text" else values[4]
        np.save(path / f"{name}.npy", values)
        features[name] = path / f"{name}.npy"
    folders.prepare_here(path / "log.csv", features, path / "out")
    return folders.Folder(path / "out")


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def doubles(tensor):
    return tensor.detach().double().cpu().numpy()


def neighbours(folder):
    ptr, idx = folder.train
    out = [[folder.users + i for i in idx[a:b]] for a, b in zip(ptr, ptr[1:])]
    out += [[] for _ in range(folder.items)]
    for u in range(folder.users):
        for node in out[u]:
            out[node].append(u)
    return out


def lightgcn_loss(model, folder, batch):
    near, x = neighbours(folder), np.concatenate([doubles(t) for t in model.tables])
    total, layer = x.copy(), x
    for _ in range(lightgcn.LAYERS):
        after = np.zeros_like(x)
        for t, row in enumerate(near):
            for j in row:
                after[t] += layer[j] / math.sqrt(len(row) * len(near[j]))
        total, layer = total + after, after
    z, sum_ = total / (lightgcn.LAYERS + 1), 0.0
    for u, p, n in zip(*batch):
        p, n = folder.users + p, folder.users + n
        sum_ += softplus(-(z[u] @ z[p] - z[u] @ z[n])) + lightgcn.L2 * sum(x[r] @ x[r] for r in (u, p, n))
    return sum_ / len(batch[0])


def affine(layer, x):
    return x @ doubles(layer.weight).T + (0 if layer.bias is None else doubles(layer.bias))


def leaky(x):
    return np.where(x > 0, x, nsmar.SLOPE * x)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def hidden(layers, x):
    return affine(layers[2], leaky(affine(layers[0], x)))


def nsmar_loss(model, folder, batch):
    """Only where no node has more than K neighbours but those that `drawn` knows."""
    near, drawn = neighbours(folder), draw_of(model.aggregate)
    outputs, item, mix = [], doubles(model.item), doubles(model.mix)
    for at, (m, values) in enumerate(folder.features.items()):
        start = hidden(model.align[m], unit(values.astype(np.float64)))
        if m in model.unknown:
            start[folder.missing[m]] = doubles(model.unknown[m])[0]
        x = unit(np.concatenate([doubles(model.user[m]), affine(model.shared, start) + item]))
        total = x.copy()
        for _ in range(nsmar.LAYERS):
            x = np.stack([row / math.sqrt(max(len(near[t]), 1)) for t, row in enumerate(x)])
            after = np.zeros_like(x)
            for t, row in enumerate(drawn):
                alphas = [sum(max(pearson(x[j], x[k]), 0.0) for k in row) / len(row) for j in row]
                for j, alpha in zip(row, alphas):
                    after[t] += alpha / (np.mean(alphas) * math.sqrt(len(row))) * x[j]
            x = after
            total = total + x
        total[: folder.users] *= mix[:, at : at + 1]
        outputs.append(total)
    z = np.concatenate(outputs, axis=1)
    if model.graph is not None:
        z = z + doubles(model.graph[0].to_dense()) @ z
    sides = [rows + hidden(layers, rows) for layers, rows in zip(model.score, (z[: folder.users], z[folder.users :]))]
    z = np.concatenate(sides)
    sum_, users = 0.0, {m: doubles(t) for m, t in model.user.items()}
    for u, p, n in zip(*batch):
        rows = [u, folder.users + p, folder.users + n]
        sum_ += softplus(-(z[rows[0]] @ z[rows[1]] - z[rows[0]] @ z[rows[2]]))
        sum_ += nsmar.L2 * (sum(t[u] @ t[u] for t in users.values()) + item[p] @ item[p] + item[n] @ item[n])
    return sum_ / len(batch[0])


def pearson(a, b):
    a, b = a - a.mean(), b - b.mean()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / norm if norm > 0 else 0.0


def draw_of(grouped):
    """The neighbour lists of the draw that `grouped` holds."""
    place, flat, rows = grouped.place.tolist(), grouped.idx.tolist(), []
    for count, width, degree in grouped.parts:
        for n in degree.flatten().int().tolist():
            rows.append(flat[:n])
            flat = flat[width:]
    return [rows[at] if at < len(rows) else [] for at in place]


def check_ranking(model, folder, device):
    found, best = Ranking(folder, device, folder.users).run(model)
    user, item, out = model.scorer()
    user, item = doubles(user), doubles(item)
    scores = user @ item.T if out is None else np.maximum(user[:, None] + item, 0) @ doubles(out)
    (ptr, idx), (held_ptr, held_idx), recalls = folder.train, folder.valid, []
    for u in range(folder.users):
        held = set(held_idx[held_ptr[u] : held_ptr[u + 1]].tolist())
        if held:
            scores[u, idx[ptr[u] : ptr[u + 1]]] = -np.inf
            recalls.append(len(held & set(np.argsort(-scores[u])[:20].tolist())) / len(held))
    assert abs(found - np.mean(recalls)) < 1e-6, (found, np.mean(recalls))
    assert best.shape[1] == min(TOP, folder.items)


def louder(model):
    """Larger parameters than those of a start, so that no part of a loss is lost in the others."""
    for group in model.adam.param_groups:
        for p in group["params"]:
            p.data.mul_(2.5)


def near(name, found, wanted):
    assert abs(found - wanted) <= 2e-5 * max(1.0, abs(wanted)), f"{name}: {found}, loops say {wanted}"
    print(f"{name}: {found:.6f}, loops {wanted:.6f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cuda", "cpu"])
    device = torch.device(parser.parse_args().device)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as path:
        folder = tiny(pathlib.Path(path))
    torch.manual_seed(0)
    edges = sparse.Edges(folder, device)
    nsmar.K, nsmar.LADDER = 60, (*(w for w in nsmar.LADDER if w < 60), 60)
    assert edges.degree.max() > nsmar.K and (edges.degree == 0).any() and folder.missing["text"].sum() == 1
    batch = edges.epoch(64)[0]
    lists = [t.tolist() for t in batch]
    taken = set(edges.keys.tolist())
    assert all(u * folder.items + p in taken and u * folder.items + n not in taken for u, p, n in zip(*lists))
    for how in lightgcn.LightGcn.HOWS:
        model = lightgcn.LightGcn(folder, edges, device, how)
        louder(model)
        near(f"lightgcn, {how}", model.loss(*batch).item(), lightgcn_loss(model, folder, lists))
    check_ranking(model, folder, device)
    mix = graphs.mixing(folder, device)
    gradients = []
    for how, recompute in (("index", False), ("sparse", False), ("index", True)):
        torch.manual_seed(1)
        model = nsmar.NsmarPlus(folder, edges, device, how, mix, recompute=recompute)
        # What starts at zero would not be seen.
        for p in model.parameters():
            if not p.any():
                p.data.normal_(std=0.1)
        louder(model)
        loss = model.loss(*batch)
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        near(f"nsmar+, {how}{', recompute' * recompute}", loss.item(), nsmar_loss(model, folder, lists))
    for other in gradients[1:]:
        assert torch.allclose(gradients[0], other, atol=1e-5, rtol=1e-3), "gradients differ"
    check_ranking(model, folder, device)
    print("all agree")


if __name__ == "__main__":
    main()
