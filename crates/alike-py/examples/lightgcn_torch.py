"""LightGCN in PyTorch against alike's data and batches, evaluated like alike's own: `python lightgcn_torch.py DATA`."""

import sys

import alike
import torch

DIM, LAYERS, BATCH, LR, L2 = 64, 2, 2048, 1e-3, 1e-4


def train(data: alike.Data, epochs: int, seed: int = 0, patience: int = 20, lr: float = LR, l2: float = L2) -> alike.Model:
    torch.manual_seed(seed)
    pairs, users, items = data.csr().tocoo(), data.n_users, data.n_items
    rows, cols = (torch.from_numpy(numbers.astype("int64")) for numbers in pairs.coords)
    edges = torch.stack([torch.cat([rows, cols + users]), torch.cat([cols + users, rows])])
    degree = torch.bincount(edges[0], minlength=users + items).clamp(min=1).rsqrt()
    weights = degree[edges[0]] * degree[edges[1]]
    graph = torch.sparse_coo_tensor(edges, weights, (users + items,) * 2).coalesce().to_sparse_csr()
    table = torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(users + items, DIM)))
    optimiser = torch.optim.Adam([table], lr=lr)

    def vectors() -> tuple[torch.Tensor, torch.Tensor]:
        layers = [table]
        for _ in range(LAYERS):
            layers.append(graph @ layers[-1])
        return torch.stack(layers).mean(0).split([users, items])

    best, model = -1.0, None
    for epoch in range(1, epochs + 1):
        for batch in data.batches(BATCH, epoch=epoch, seed=seed):
            u, i, j = (torch.from_numpy(numbers) for numbers in batch)
            z_users, z_items = vectors()
            margin = (z_users[u] * (z_items[i] - z_items[j])).sum(1)
            norms = sum(rows.square().sum() for rows in (table[u], table[users + i], table[users + j]))
            loss = torch.nn.functional.softplus(-margin).mean() + l2 * norms / len(u)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if epoch % 5 == 0:
            with torch.no_grad():
                found = alike.interop.from_torch(*vectors(), data, test=False)
            recall = found.evaluate("valid")["recall@20"]
            if recall > best:
                best, model, since = recall, found, 0
            elif (since := since + 5) >= patience:
                break
    return model


if __name__ == "__main__":
    prepared = alike.Data.open(sys.argv[1])
    print(train(prepared, epochs=1000).evaluate("test")["recall@20"])
