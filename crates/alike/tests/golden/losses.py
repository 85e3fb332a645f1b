"""Losses by which a model ranks, from their papers: softmax over sampled items, SL@K, DirectAU; BPR without a word."""

import torch
import torch.nn.functional as F


def thresholds(settings, z, users):
    """The cosine at the end of each user's list of `loss_top` items, without a gradient."""
    cosines = F.normalize(z[:users]) @ F.normalize(z[users:]).T
    return cosines.detach().sort(dim=1, descending=True).values[:, settings["loss_top"] - 1]


def uniformity(x):
    return torch.pdist(F.normalize(x)).pow(2).mul(-2.0).exp().mean().log()


def rank(settings, beta, z, users, pos, neg):
    """The loss of pairs, as rows of `z`; the items `neg` are one per pair for BPR and shared by all otherwise."""
    kind = settings.get("loss", "bpr")
    if kind == "bpr":
        return F.softplus((z[users] * z[neg]).sum(dim=1) - (z[users] * z[pos]).sum(dim=1)).mean()
    if kind == "directau":
        apart = (F.normalize(z[users]) - F.normalize(z[pos])).pow(2).sum(dim=1).mean()
        return apart + settings["loss_uniformity"] * (uniformity(z[users]) + uniformity(z[pos])) / 2.0
    own = F.cosine_similarity(z[users], z[pos])
    others = F.normalize(z[users]) @ F.normalize(z[neg]).T
    t = settings["loss_temperature"]
    if kind == "softmax":
        logits = torch.cat([own[:, None], others], dim=1) / t
        return F.cross_entropy(logits, torch.zeros(len(own), dtype=torch.long))
    weight = torch.sigmoid((own - beta[users]) / settings["loss_top_temperature"])
    return (weight * (((others - own[:, None]) / t).exp().sum(dim=1).log())).mean()
