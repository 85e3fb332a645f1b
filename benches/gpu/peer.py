"""PyTorch's side: epochs, evaluations and memory of one model on one prepared folder, one JSON line each.

    python benches/gpu/peer.py DIR nsmar+ [--device cuda] [--batch 8192] [--profile]

Every way of the model is tried (`how`), then what makes launches cheaper: `compiled` (torch.compile of the parts it can take) and
`graphed` (the whole step captured once and replayed); the fastest runs once more with TF32. A way that fails is a line with `error`.
Triples are drawn on the device and count; the draw of neighbours and the graphs do not. Where an epoch is long, a few steps are timed
and scaled (`scaled_from`).
"""

import argparse
import gc
import json
import statistics
import time

import torch

import graphs
import sparse
from folder import Folder
from lightgcn import LightGcn
from nsmar import NsmarPlus
from ranking import Ranking

MODELS = {"nsmar+": NsmarPlus, "lightgcn": LightGcn}
# Seconds of timing after which an epoch is scaled from steps, and of a step below which capturing it is tried.
LONG_S, SHORT_S = 6.0, 0.1
RUNS, WARM = 5, 2


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(function, device):
    wait(device)
    start = time.perf_counter()
    function()
    wait(device)
    return time.perf_counter() - start


def stepper(model):
    def step(u, p, n):
        model.adam.zero_grad(set_to_none=True)
        loss = model.loss(u, p, n)
        loss.backward()
        model.adam.step()
        return loss.detach()

    return step


def graphed(step, batch):
    """`step` captured for batches of this size."""
    held = [t.clone() for t in batch]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(*held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(*held)

    def replay(*batch):
        for to, of in zip(held, batch):
            to.copy_(of)
        graph.replay()
        return loss

    return replay


def time_epochs(step, edges, batch, device):
    """Seconds of an epoch and what they are made of."""
    draw = lambda: edges.epoch(batch)  # noqa: E731
    batches = draw()
    for triples in batches[:WARM]:
        loss = step(*triples)
    one = min(timed(lambda: step(*batches[0]), device) for _ in range(2))

    def epoch():
        for triples in draw():
            step(*triples)

    if one * len(batches) <= LONG_S:
        epoch()
        seconds = [timed(epoch, device) for _ in range(RUNS)]
        more = {"scaled_from": None}
    else:
        count = min(len(batches), max(2, int(LONG_S / RUNS / one)))
        drawn = statistics.median(timed(draw, device) for _ in range(3))

        def some():
            for triples in batches[:count]:
                step(*triples)

        seconds = [timed(some, device) / count * len(batches) + drawn for _ in range(RUNS)]
        more = {"scaled_from": count}
    loss = float(step(*batches[0]))
    more |= {"median_s": statistics.median(seconds), "min_s": min(seconds), "runs": len(seconds)}
    return more | {"steps": len(batches), "loss": loss}


def profile(step, batch):
    """The ten kernels that take most time of three steps: (name, ms a step, share, calls a step)."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(3):
            step(*batch)
        wait(batch[0].device)
    on_gpu = batch[0].device.type == "cuda"
    device_type = torch.autograd.DeviceType.CUDA if on_gpu else torch.autograd.DeviceType.CPU
    own = lambda e: e.self_device_time_total if on_gpu else e.self_cpu_time_total  # noqa: E731
    counts = lambda e: e.device_type == device_type and own(e) > 0 and not getattr(e, "is_user_annotation", False)  # noqa: E731
    rows = [e for e in found.key_averages() if counts(e)]
    total = sum(own(e) for e in rows) or 1
    best = sorted(rows, key=own, reverse=True)[:10]
    return [[e.key[:90], own(e) / 3000, own(e) / total, e.count / 3] for e in best]


class Peer:
    def __init__(self, args):
        self.args, self.device = args, torch.device(args.device)
        # Whether a way ran out of memory: the next ones then spare it from the start.
        self.full = False
        if args.device == "cpu":
            # A trial, on tiny data; beside other work two threads wait for each other.
            torch.set_num_threads(1)
        self.folder = Folder(args.dir)
        self.edges = sparse.Edges(self.folder, self.device)
        self.more = {}
        if args.model == "nsmar+":
            if not args.no_graphs:
                self.more["graph"] = graphs.mixing(self.folder, self.device)
        self.ranking = Ranking(self.folder, self.device, args.eval_users)

    def build(self, how, **more):
        torch.manual_seed(0)
        return MODELS[self.args.model](self.folder, self.edges, self.device, how, **self.more, **more)

    def line(self, what, how, **more):
        line = {"model": self.args.model, "what": what, "how": how, "device": self.args.device, "torch": torch.__version__}
        if self.device.type == "cuda":
            line["allocated_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
        print(json.dumps(line | more), flush=True)

    def epoch(self, how, tf32=False, graph=False, compiled=False, recompute=False, then=None, only_then=False):
        """Measures one way and gives its memory back: (seconds per epoch, seconds per step, whether it had to recompute), or None."""
        recompute = recompute or self.full
        more = {k: True for k, v in {"compiled": compiled, "recompute": recompute}.items() if v}
        name = ", ".join([how, *more, *(["graphed"] if graph else [])])
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        model = step = None
        failed = result = None
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            model = self.build(how, **more)
            step = stepper(model)
            if graph:
                step = graphed(step, self.edges.epoch(self.args.batch)[0])
            if not only_then:
                result = time_epochs(step, self.edges, self.args.batch, self.device)
                self.line("epoch", name, tf32=tf32, batch=self.args.batch, **result)
            if then:
                then(model, step, name)
        except Exception as error:  # noqa: BLE001
            failed = error
            text = str(error).strip().split("\n")[0][:200] or type(error).__name__
            self.line("epoch", name, tf32=tf32, error=text)
        del model, step
        self.full |= self.args.model == "nsmar+" and isinstance(failed, torch.OutOfMemoryError)
        failed = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.full and not recompute:
            return self.epoch(how, tf32, graph, compiled, True, then, only_then)
        return (result["median_s"], result["median_s"] / result["steps"], recompute) if result else None

    def evaluation(self, model, _, name):
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        recall = self.ranking.run(model)[0]
        part = self.ranking.all / len(self.ranking.users)
        forward = statistics.median(timed(lambda: no_grad(model.scorer), self.device) for _ in range(3))
        seconds = [timed(lambda: self.ranking.run(model), self.device) for _ in range(3)]
        median = forward + (statistics.median(seconds) - forward) * part
        scaled = len(self.ranking.users) if part > 1 else None
        more = {"tf32": torch.backends.cuda.matmul.allow_tf32, "median_s": median, "min_s": None, "runs": len(seconds)}
        self.line("evaluation", name, **more, forward_s=forward, users=self.ranking.all, scaled_from=scaled, recall=recall)

    def run(self):
        """Every way, the cheapest to try first."""
        hows, found = MODELS[self.args.model].HOWS, {}
        for at, how in enumerate(hows):
            found[how] = self.epoch(how, then=self.evaluation if at == 0 else None)
        found = {how: result for how, result in found.items() if result}
        if not found:
            return
        how = min(found, key=found.get)
        best, step_s, recompute = found[how]
        options = {"recompute": recompute}
        if self.device.type == "cuda" and step_s < SHORT_S:
            # Launching kernels is what takes time.
            for how_graphed in sorted(found, key=found.get):
                result = self.epoch(how_graphed, graph=True, **options)
                if result:
                    break
            if result and result[0] < best:
                how, best, options["graph"] = how_graphed, result[0], True
        if self.args.model == "nsmar+" and self.args.compile:
            result = self.epoch(how, compiled=True, **options)
            if result and result[0] < best:
                options["compiled"] = True
        if self.device.type == "cuda":
            self.epoch(how, tf32=True, then=self.evaluation, **options)
        if self.args.profile:
            # A replayed graph has no names of operators; its kernels are the same.
            options.pop("graph", None)
            self.epoch(how, then=self.kernels, only_then=True, **options)

    def kernels(self, _, step, name):
        batch = self.edges.epoch(self.args.batch)[0]
        step(*batch)
        self.line("profile", name, rows=profile(step, batch))


def no_grad(function):
    with torch.no_grad():
        return function()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--no-graphs", action="store_true")
    parser.add_argument("--eval-users", type=int, default=100_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.exit(1, f"error: torch {torch.__version__} sees no CUDA device\n")
    Peer(args).run()


if __name__ == "__main__":
    main()
