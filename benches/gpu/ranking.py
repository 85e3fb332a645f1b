"""One evaluation: forward, scores of all items in blocks of users, train items masked, the best 50, Recall@20."""

import torch

TOP, AT, CELLS = 50, 20, 1 << 28


class Ranking:
    """Users with held-out items; at most `most` of them are ranked, evenly spread, and the time is scaled."""

    def __init__(self, folder, device, most):
        train_ptr, self.train_idx = (torch.from_numpy(a).to(device) for a in folder.train)
        ptr, idx = (torch.from_numpy(a).to(device) for a in folder.valid)
        held = ptr.diff()
        owner = torch.repeat_interleave(torch.arange(folder.users, device=device), held)
        self.keys, self.items = owner * folder.items + idx, folder.items
        users = torch.nonzero(held).flatten()
        self.all = len(users)
        self.users = users[:: -(-self.all // most)]
        self.held, self.starts, self.counts = held, train_ptr[:-1], train_ptr.diff()
        self.blocks = {}

    def masks(self, block):
        """(users, rows, columns to mask) of every block: known beforehand, as the train lists are."""
        if block not in self.blocks:
            out = []
            for users in self.users.split(block):
                n = self.counts[users]
                rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), n)
                first = self.starts[users] - (n.cumsum(0) - n)
                at = first[rows] + torch.arange(len(rows), device=users.device)
                out.append((users, rows, self.train_idx[at]))
            self.blocks[block] = out
        return self.blocks[block]

    @torch.no_grad()
    def run(self, model):
        """(mean Recall@20, top lists of the last block)."""
        user, item, out = model.scorer()
        top, total = min(TOP, self.items), torch.zeros((), device=user.device, dtype=torch.float64)
        width = 1 if out is None else 3 * user.shape[1]
        for users, rows, cols in self.masks(max(1, min(4096, CELLS // (self.items * width)))):
            if out is None:
                scores = user[users] @ item.T
            else:
                scores = torch.relu(user[users, None] + item) @ out
            scores[rows, cols] = -torch.inf
            best = scores.topk(top, dim=1).indices
            keys = users[:, None] * self.items + best[:, :AT]
            place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
            total += ((self.keys[place] == keys).sum(dim=1).double() / self.held[users]).sum()
        return float(total) / len(self.users), best
