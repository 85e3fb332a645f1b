"""Writes the golden cases: `python generate.py [CASE]...` beside this file; see README.md."""

import copy
import json
import pathlib
import random
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import contrastive
import losses
import oracle

HERE = pathlib.Path(__file__).parent
USERS, ITEMS = 18, 16
STEPS, BATCH = 5, 16
ADAM = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
LONELY_USER, COLD_ITEM, PRIVATE_ITEM = 7, 15, 14
MISSING = {"image": [], "text": [4, 11]}
DUPLICATE = (5, 2)  # item 5 has the text of item 2: a tie of cosines
TRIALS = 24
SEARCHED = {"soil": 20 * TRIALS}  # most instances have a tie at the end of a selection, and are left out
SLOW = 0.001  # share of the learning rate

PLUS = {
    "dim": 8, "alignment": "mlp", "hidden": 9, "layers": 2, "aggregation": "similarity", "neighbors": 30, "user_graph": True,
    "user_neighbors": 4, "user_weight": "count", "item_graph": True, "item_neighbors": 4,
    "item_weights": {"image": 0.1, "text": 0.9}, "scorer": "mlp", "negatives": 1, "l2": 1e-2, "exclude": [],
}  # fmt: skip
SMALL = PLUS | {"dim": 5}
LAYERS = {"neighbor_contrast": 0.2, "contrast_balance": 0.4, "temperature": 0.3}
PGL = {
    "dim": 5, "layers": 2, "item_neighbors": 4, "item_weights": {"image": 0.3, "text": 0.7}, "edge_dropout": 0.0,
    "contrast": 0.2, "dropout": 0.3, "temperature": 0.3, "cross": False,
}  # fmt: skip
COHESION = {
    "dim": 5, "hidden": 9, "layers": 2, "item_neighbors": 4, "item_weights": {"image": 0.3, "text": 0.7},
    "user_neighbors": 4, "table_l2": 0.1, "neighbor_contrast": 0.0,
}  # fmt: skip
SOFTMAX = {"loss": "softmax", "loss_temperature": 0.3}
CASES = {
    "nsmar_plus": ("nsmar+", PLUS),
    "nsmar_plus_deep": ("nsmar+", PLUS | {"layers": 3, "user_weight": "jaccard"}),
    "nsmar_plus_dot": ("nsmar+", SMALL | {"scorer": "dot", "user_weight": "cosine"}),
    "nsmar": ("nsmar", SMALL | {"alignment": "matrix"}),
    "nsmar_plus_c": ("nsmar+c", SMALL | {"contrast": 0.2, "temperature": 0.3}),
    "nsmar_plus_nc": ("nsmar+/nc", SMALL | {"aggregation": "plain"}),
    "nsmar_plus_ma": ("nsmar+/ma", SMALL | {"alignment": "none"}),
    "nsmar_plus_gui": ("nsmar+/gui", SMALL | {"user_graph": False, "item_graph": False}),
    "nsmar_plus_t": ("nsmar+/t", SMALL | {"exclude": ["text"]}),
    "nsmar_plus_v": ("nsmar+/v", SMALL | {"exclude": ["image"]}),
    "alloy": ("alloy", PLUS | {"item_weights": {"image": 0.3, "text": 0.7}}),
    "alloy_ids": ("alloy", PLUS | {"exclude": ["image", "text"], "item_graph": False}),
    "lightgcn": ("lightgcn", {"dim": 8, "layers": 3, "l2": 1e-2}),
    "lightgcn_softmax": ("lightgcn", {"dim": 8, "layers": 3, "l2": 1e-2} | SOFTMAX),
    "bpr": ("bpr", {"dim": 8, "l2": 1e-2}),
    "bpr_slk": ("bpr", {"dim": 8, "l2": 1e-2} | SOFTMAX | {"loss": "slk", "loss_top": 5, "loss_top_temperature": 0.5}),
    "vbpr": ("vbpr", {"dim": 5, "normalize_input": False, "l2": 1e-2}),
    "vbpr_directau": ("vbpr", {
        "dim": 5, "normalize_input": False, "l2": 1e-2, "loss": "directau", "loss_uniformity": 0.7}),
    "dualgnn": ("dualgnn", {"dim": 5, "hidden": 9, "layers": 2, "user_neighbors": 4, "user_weight": "count", "l2": 1e-2}),
    "dragon": ("dragon", {
        "dim": 5, "hidden": 9, "layers": 2, "user_neighbors": 4, "user_weight": "count", "item_neighbors": 4,
        "item_weights": {"image": 0.3, "text": 0.7}, "item_layers": 2, "l2": 1e-2}),
    "freedom": ("freedom", {
        "dim": 6, "layers": 2, "dropout": 0.0, "item_neighbors": 4, "item_weights": {"image": 0.1, "text": 0.9},
        "item_layers": 1, "auxiliary": 0.3}),
    "mgcn": ("mgcn", {
        "dim": 5, "layers": 2, "item_neighbors": 4, "item_layers": 2, "contrast": 0.2, "temperature": 0.3, "l2": 1e-2}),
    "mgcn_negatives": ("mgcn", {
        "dim": 5, "layers": 2, "item_neighbors": 4, "item_layers": 2, "contrast": 0.2, "temperature": 0.3, "l2": 1e-2,
        "negatives": 2}),
    "mmgcn": ("mmgcn", {"dim": 4, "latent": 6, "layers": 2, "l2": 1e-2}),
    "lattice": ("lattice", {
        "dim": 5, "layers": 2, "item_neighbors": 4, "item_layers": 2, "keep": 0.6, "l2": 1e-2}),
    "bm3": ("bm3", {"dim": 6, "layers": 2, "dropout": 0.3, "contrast": 0.5, "l2": 1e-2}),
    "fism_auc": ("fism", {"dim": 6, "loss": "auc", "alpha": 0.4, "l2": 1e-2}),
    "fism_rmse": ("fism", {"dim": 6, "loss": "rmse", "alpha": 0.7, "rho": 2.0, "l2": 1e-2}),
    "nlgcl": ("nlgcl", {"dim": 8, "layers": 3, "l2": 1e-2} | LAYERS),
    "freedom_nc": ("freedom", {
        "dim": 6, "layers": 2, "dropout": 0.0, "item_neighbors": 4, "item_weights": {"image": 0.1, "text": 0.9},
        "item_layers": 1, "auxiliary": 0.3} | LAYERS),
    "soil": ("soil", {
        "dim": 5, "layers": 2, "item_neighbors": 4, "interest_neighbors": 4, "second_neighbors": 2,
        "contrast": 0.2, "pair_contrast": 0.1, "temperature": 0.3}),
    "pgl": ("pgl", PGL),
    "pgl_cross": ("pgl", PGL | {"cross": True}),
    "cohesion": ("cohesion", COHESION),
    "cohesion_nc": ("cohesion", COHESION | LAYERS),
}
CLASSES = oracle.CLASSES | contrastive.CLASSES
FEATURELESS = ("lightgcn", "nlgcl", "bpr", "fism")


def make_graph(settings, rng):
    train = [[] for _ in range(USERS)]
    common = [i for i in range(ITEMS) if i not in (COLD_ITEM, PRIVATE_ITEM)]
    for u in range(USERS):
        train[u] = sorted(rng.sample(common, rng.randint(2, 6)))
    train[LONELY_USER] = [PRIVATE_ITEM]  # shares nothing: an empty row in the user graph
    numbers = np.random.default_rng(rng.randrange(2**32))
    features = {}
    for m, width in (("image", 10), ("text", 7)):
        x = (numbers.normal(size=(ITEMS, width)) + 0.8).astype(np.float32)
        if m == "text":
            x[DUPLICATE[0]] = x[DUPLICATE[1]]
        x[MISSING[m]] = 0.0
        features[m] = torch.tensor(x, dtype=torch.float64)
    missing = {m: [i in MISSING[m] for i in range(ITEMS)] for m in features}
    graph = {"users": USERS, "items": ITEMS, "train": train, "features": features, "missing": missing}
    if "item_neighbors" in settings and "exclude" not in settings:
        others = settings["item_neighbors"] - 1
        for m in features:
            for i, row in enumerate(oracle.item_graph({m: features[m]}, missing, {m: 1.0}, others)):
                if any(missing[m][j] for j, _ in row):
                    return None
                assert len(row) == (0 if missing[m][i] else others)
    if "exclude" in settings:
        used = {m: x for m, x in features.items() if m not in settings["exclude"]}
        graph["user_graph"] = oracle.user_graph(train, settings["user_neighbors"], settings["user_weight"])
        graph["item_graph"] = [[] for _ in range(ITEMS)]
        if used:
            graph["item_graph"] = oracle.item_graph(used, missing, settings["item_weights"], settings["item_neighbors"])
        for m in used:
            only = oracle.item_graph({m: used[m]}, missing, {m: 1.0}, settings["item_neighbors"])
            for i, row in enumerate(only):
                if any(missing[m][j] for j, _ in row):
                    return None  # an item without features ties with nothing: leave that case out
                assert len(row) == (0 if missing[m][i] else settings["item_neighbors"])
    return graph


def make_params(model, numbers):
    """Random starting values, rounded to single precision; biases are not 0, so that they are seen."""
    params = {}
    for name, shape in model.shapes().items():
        scale = 0.3 if len(shape) == 1 else (6.0 / sum(shape)) ** 0.5
        value = numbers.uniform(-scale, scale, size=shape)
        if name.startswith(("user.", "embedding")) or name == "item":
            value = value * 2.0
        if name.endswith(".matrix"):
            value = np.eye(shape[0]) + 0.2 * value
        params[name] = torch.tensor(value.astype(np.float32), dtype=torch.float64)
    return params


def make_batches(train, rng, negatives=1):
    pairs = [(u, i) for u, row in enumerate(train) for i in row]
    draw = lambda u: rng.choice([i for i in range(ITEMS) if i not in train[u]])  # noqa: E731
    several = lambda drawn: [pair for pair in drawn for _ in range(negatives)]  # noqa: E731
    return [[(u, i, draw(u)) for u, i in several(rng.choices(pairs, k=BATCH))] for _ in range(STEPS)]


def rates(params, slow):
    """A parameter group of Adam for each parameter: maps that move all vectors at once have a rate of their own."""
    rate = lambda name: slow if name.startswith(("score.", "shared.")) else 1.0  # noqa: E731
    return [{"params": [v], "lr": ADAM["lr"] * rate(name)} for name, v in params.items()]


def run(model, params, batches, dtype):
    """Five Adam steps; the embeddings, loss and gradients are those before the first."""
    p = {name: v.to(dtype).clone().requires_grad_(True) for name, v in params.items()}
    groups = rates(p, SLOW if "scorer" in model.s else 1.0)
    adam = torch.optim.Adam(groups, lr=ADAM["lr"], betas=(ADAM["beta1"], ADAM["beta2"]), eps=ADAM["eps"])
    model.step, model.beta = 0, None
    out = {"final": model.final(p).detach().clone(), "losses": [], "margins": []}
    if "loss_top" in model.s:
        model.beta = losses.thresholds(model.s, out["final"], model.g["users"])
    for step, batch in enumerate(batches):
        adam.zero_grad()
        loss = model.loss(p, batch, out["margins"])
        loss.backward()
        assert all(v.grad is not None for v in p.values()), "every parameter takes part in the loss"
        if step == 0:
            out["grad"] = {name: v.grad.clone() for name, v in p.items()}
        adam.step()
        out["losses"].append(loss.item())
    out["after"] = {name: v.detach().clone() for name, v in p.items()}
    return out


def distance(a, b):
    """Largest difference relative to the tensor's largest entry."""
    return max(((a[n].double() - b[n].double()).abs().max() / b[n].abs().max().clamp(min=1e-30)).item() for n in b)


def sparse(rows, prefix, out):
    out[f"{prefix}/ptr"] = np.cumsum([0] + [len(r) for r in rows]).astype(np.uint32)
    out[f"{prefix}/idx"] = np.array([j for r in rows for j, _ in r], dtype=np.uint32)
    out[f"{prefix}/weight"] = np.array([w for r in rows for _, w in r], dtype=np.float32)


def trial(name, kind, settings, seed):
    rng = random.Random(f"{name}/{seed}")
    graph = make_graph(settings, rng)
    if graph is None:
        return None
    model = CLASSES.get(kind, oracle.Nsmar)(settings, graph)
    if getattr(model, "gap", 1.0) < 1e-5:
        return None  # rounding could select others
    params = make_params(model, np.random.default_rng(rng.randrange(2**32)))
    batches = make_batches(graph["train"], rng, settings.get("negatives", 1))
    if hasattr(model, "draw_masks"):
        model.draw_masks(batches, np.random.default_rng(rng.randrange(2**32)))
    exact = run(model, params, batches, torch.float64)
    rough = run(model, params, batches, torch.float32)
    single = {
        "final": distance({"": rough["final"]}, {"": exact["final"]}),
        "loss": max(abs(a - b) for a, b in zip(rough["losses"], exact["losses"])),
        "grad": distance(rough["grad"], exact["grad"]),
        "after": max((rough["after"][n].double() - v).abs().max().item() for n, v in exact["after"].items()),
    }
    exact["masks"] = getattr(model, "masks", None)
    return single, min(exact["margins"], default=1.0), graph, params, batches, exact


def write(name, kind, settings):
    # Of some random instances the one that single precision disturbs least: far from kinks of the rectifiers and from
    # gradients so small that Adam turns their rounding into whole steps.
    tried = [t for seed in range(SEARCHED.get(name, TRIALS)) if (t := trial(name, kind, settings, seed)) is not None]
    single, margin, graph, params, batches, exact = min(tried, key=lambda t: (t[1] < 1e-5, max(t[0].values())))
    tensors = {"final": exact["final"]}
    tensors |= {f"feature/{m}": x for m, x in graph["features"].items()} if kind not in FEATURELESS else {}
    tensors |= {f"init/{n}": v for n, v in params.items()}
    tensors |= {f"grad/{n}": v for n, v in exact["grad"].items()}
    tensors |= {f"after/{n}": v for n, v in exact["after"].items()}
    arrays = {n: np.ascontiguousarray(v.numpy().astype(np.float32)) for n, v in tensors.items()}
    case = {
        "case": name, "model": kind, "settings": copy.deepcopy(settings), "users": USERS, "items": ITEMS,
        "train": graph["train"], "adam": ADAM, "batches": batches, "losses": exact["losses"],
        "single_precision": {k: float(f"{v:.2g}") for k, v in single.items()}, "margin": float(f"{margin:.2g}"),
    }  # fmt: skip
    if exact["masks"]:
        case["masks"] = [[np.float32(m.numpy().ravel()).tolist() for m in step] for step in exact["masks"]]
    if "exclude" in settings:
        case["missing"] = MISSING
        sparse(graph["user_graph"], "user_graph", arrays)
        sparse(graph["item_graph"], "item_graph", arrays)
    save_file(arrays, HERE / f"{name}.safetensors")
    (HERE / f"{name}.safetensors").chmod(0o644)
    fields = [f" {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in case.items()]
    (HERE / f"{name}.json").write_text("{\n" + ",\n".join(fields) + "\n}\n")
    print(f"{name:22} margin {margin:.1e}  in single precision: " + "  ".join(f"{k} {v:.1e}" for k, v in single.items()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case_name, (model_name, case_settings) in CASES.items():
        if len(sys.argv) > 1 and case_name not in sys.argv[1:]:
            continue
        write(case_name, model_name, case_settings)
