"""The user graph and the item graph of NSMAR+ as one block-diagonal matrix and its transpose.

Users: the 40 who share most items, exact up to `EXACT` users; beyond that 40 drawn at random, which take as long to multiply. Items: the
10 nearest a modality by cosine. Rows are softmaxes. Made once, not timed.
"""

import numpy as np
import torch
import torch.nn.functional as F

import sparse
from nsmar import ITEM_NEIGHBORS, USER_NEIGHBORS

EXACT, BLOCK = 100_000, 2048
SHARE = {"image": 0.1, "text": 0.9}


def user_edges(folder):
    """(user, neighbour, weight)."""
    try:
        import scipy.sparse as sp
    except ImportError:
        sp = None
    if sp is None or folder.users > EXACT:
        rows = np.repeat(np.arange(folder.users), USER_NEIGHBORS)
        cols = np.random.default_rng(0).integers(0, folder.users, len(rows))
        return rows, cols, np.full(len(rows), 1 / USER_NEIGHBORS)
    ptr, idx = folder.train
    taken = sp.csr_matrix((np.ones(len(idx)), idx, ptr), shape=(folder.users, folder.items))
    rows, cols, weights = [], [], []
    for start in range(0, folder.users, BLOCK):
        shared = (taken[start : start + BLOCK] @ taken.T).tocoo()
        user, other, count = shared.row + start, shared.col, shared.data
        keep = user != other
        user, other, count = user[keep], other[keep], count[keep]
        order = np.lexsort((other, -count, user))
        user, other, count = user[order], other[order], count[order]
        rank = np.arange(len(user)) - np.searchsorted(user, user)
        keep = rank < USER_NEIGHBORS
        user, other, count = user[keep], other[keep], np.exp(count[keep] - count.max(initial=0))
        total = np.bincount(user, weights=count, minlength=folder.users)
        rows.append(user), cols.append(other), weights.append(count / np.maximum(total[user], 1e-30))
    return tuple(np.concatenate(part) for part in (rows, cols, weights))


def item_edges(folder, device):
    """(item, neighbour, weight); a neighbour of both modalities comes twice, which a product adds up."""
    rows, cols, weights = [], [], []
    k = min(ITEM_NEIGHBORS, folder.items - 1)
    for m, values in folder.features.items():
        unit = F.normalize(torch.from_numpy(values).to(device))
        for start in range(0, folder.items, BLOCK):
            near = unit[start : start + BLOCK] @ unit.T
            own = torch.arange(len(near), device=device)
            near[own, start + own] = -torch.inf
            best = near.topk(k, dim=1)
            rows.append((start + own).repeat_interleave(k))
            cols.append(best.indices.flatten())
            weights.append((SHARE.get(m, 0.5) * best.values.softmax(dim=1)).flatten())
    return tuple(torch.cat(part) for part in (rows, cols, weights))


def mixing(folder, device):
    user = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in user_edges(folder)]
    item = item_edges(folder, device)
    u, nodes = folder.users, folder.users + folder.items
    rows = torch.cat([user[0].long(), u + item[0]])
    cols = torch.cat([user[1].long(), u + item[1]])
    values = torch.cat([user[2].float(), item[2]])
    return sparse.both_ways(rows, cols, values, (nodes, nodes))
