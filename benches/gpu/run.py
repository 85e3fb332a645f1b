"""alike on the GPU against PyTorch CUDA on the same card, in one run: a Markdown table and what it was made of.

    python benches/gpu/run.py                   # Baby, Sports and a synthetic shop of 1 M users
    python benches/gpu/run.py --quick           # tiny data; without a GPU the peer runs on the CPU
    python benches/gpu/run.py --check           # the peers against plain loops

The program is the variable ALIKE, or `alike` in PATH, or target/release/alike. What cannot be measured is said and passed over.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import time

import machine
import table
from machine import Failed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What the peer draws too.
NEGATIVES = 1
EPOCHS = 6


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="baby,sports,big", help="of baby, sports, big, quick [default: %(default)s]")
    at = "folder of baby/ and sports/ [default: ALIKE_DATA or data/]"
    parser.add_argument("--data-root", type=pathlib.Path, help=at)
    parser.add_argument("--models", default="lightgcn,nsmar+", help="[default: %(default)s]")
    first = "of alike: the first that works [default: %(default)s]; none: no flag"
    parser.add_argument("--device", default="vulkan:0,vulkan,wgpu:0,wgpu", help=first)
    sizes = "users, items, interactions, text and image width [default: %(default)s]"
    parser.add_argument("--big", default="1000000,200000,20000000,384,512", help=sizes)
    parser.add_argument("--big-batch", type=int, default=262_144, help="batch on `big` [default: %(default)s]")
    parser.add_argument("--no-graphs", action="store_true", help="nsmar+ without user and item graphs on both sides")
    parser.add_argument("--no-compile", action="store_true", help="do not try torch.compile: saves a minute")
    parser.add_argument("--profile", action="store_true", help="the peer's ten longest kernels too")
    whole = "seconds for everything; what is left out is said [default: %(default)s]"
    parser.add_argument("--budget", type=float, default=540, help=whole)
    each = "seconds for one side of one model on one data set [default: %(default)s]"
    parser.add_argument("--limit", type=float, default=180, help=each)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target/bench-gpu", help="folder for data and runs")
    parser.add_argument("--out", type=pathlib.Path, help="folder for results.md, results.json [default: OUT or the work folder]")
    parser.add_argument("--only", choices=["alike", "torch"], help="one side alone")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def sources(name, args):
    """(interactions, features by modality): the files of a data set."""
    if name in ("big", "quick"):
        sizes = args.big.split(",") if name == "big" else ["2000", "500", "40000", "16", "24"]
        folder = args.work / "synthetic" / "-".join(sizes)
        flags = [f"--{k}={v}" for k, v in zip(("users", "items", "interactions", "text", "image"), sizes, strict=True)]
        if not list(folder.glob("interactions.*")):
            command = [sys.executable, HERE / "synthetic.py", folder, *flags]
            print(machine.run(command, args.left()).strip(), flush=True)
        return next(folder.glob("interactions.*")), {m: folder / f"{m}.npy" for m in ("text", "image")}
    folder = args.data_root / name
    if not folder.is_dir():
        raise Failed(f"no folder {name} in {args.data_root}; --data-root or ALIKE_DATA says where it is")
    return folder / f"{name}.inter", {m: folder / f"{m}_feat_surrogate128.npy" for m in ("text", "image")}


def prepared(name, args):
    """The prepared folder of a data set: by the program, or one for the peer alone."""
    interactions, features = sources(name, args)
    key = "-".join([name, *(args.big.split(",") if name == "big" else [])])
    out = args.work / ("data" if args.program else "data-peer") / key
    if not (out / "manifest.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        if args.program:
            flags = [f"--feature={m}={path}" for m, path in features.items()]
            command = [args.program, "prepare", f"--interactions={interactions}", *flags, f"--out={out}", "--quiet"]
            machine.run(command, args.left())
        else:
            code = "import sys, json, folder; folder.prepare_here(*json.loads(sys.argv[1]))"
            paths = [str(interactions), {m: str(path) for m, path in features.items()}, str(out)]
            env = os.environ | {"PYTHONPATH": str(HERE)}
            list(machine.lines([sys.executable, "-c", code, json.dumps(paths)], args.left(), env))
    return out


def batch_of(model, name, args):
    return args.big_batch if name == "big" else {"nsmar+": 8192, "lightgcn": 2048}[model]


def train(model, data, run, args, batch, epochs, every=1):
    """Trains with alike; the records of `log.jsonl`, those of a run that did not end too, and what went wrong."""
    shutil.rmtree(run, ignore_errors=True)
    command = [args.program, "train", model, f"--data={data}", f"--out={run}", "--no-test", "--json", "--quiet"]
    settings = [f"epochs={epochs}", f"eval_every={every}", "patience=1000", f"batch={batch}"]
    if model == "nsmar+":
        settings.append(f"negatives={NEGATIVES}")
        settings += ["user_graph=false", "item_graph=false"] if args.no_graphs else []
    if args.device_flag:
        command.append(f"--device={args.device_flag}")
    error = None
    try:
        machine.run(command + [part for s in settings for part in ("--set", s)], min(args.left(), args.limit))
    except Failed as failed:
        error = str(failed)
    log = run / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")] if log.exists() else []
    return rows, error


def pick_device(args):
    """The first of --device with which alike trains; an error says why the first does not."""
    if args.device == "none":
        return ""
    name, errors = args.data.split(",")[0], []
    data = prepared("quick" if name == "big" else name, args)
    for args.device_flag in args.device.split(","):
        rows, error = train("lightgcn", data, args.work / "runs/probe", args, 8192, 1)
        if rows and not error:
            return args.device_flag
        errors.append(error or "no line in log.jsonl")
    raise Failed(f"it trains on none of {args.device}: {errors[0]}")


def alike(model, name, data, args, memory):
    """alike's side as lines like the peer's. The first epoch, which compiles kernels, does not count where there are more."""
    big = name == "big"
    epochs = 3 if big else EPOCHS
    memory.lap()
    batch, run = batch_of(model, name, args), args.work / "runs" / f"{name}-{model}"
    rows, error = train(model, data, run, args, batch, epochs, epochs if big else 1)
    used = memory.lap()
    base = {"side": "alike", "data": name, "model": model, "how": args.device_flag or "default", "memory_mib": used}
    base |= {"batch": batch}
    if error:
        yield base | {"what": "epoch", "error": error}
    parts = {"epoch": [r["train_seconds"] for r in rows], "evaluation": [r["eval_seconds"] for r in rows if r.get("valid")]}
    for what, seconds in parts.items():
        kept = seconds[1:] or seconds
        if kept:
            more = {"runs": len(kept), "first_s": seconds[0], "loss": rows[-1]["loss"]}
            if what == "evaluation":
                more["recall"] = [r for r in rows if r.get("valid")][-1]["valid"].get("recall@20")
            yield base | {"what": what, "median_s": statistics.median(kept), "min_s": min(kept)} | more


def peer(model, name, data, args, memory):
    """PyTorch's side. `memory_mib` is the peak since the line before."""
    command = [sys.executable, HERE / "peer.py", data, model, f"--device={args.torch_device}"]
    command += [f"--batch={batch_of(model, name, args)}"]
    flags = {"--no-graphs": args.no_graphs, "--profile": args.profile, "--compile": not args.no_compile}
    command += [flag for flag, on in flags.items() if on]
    base = {"side": "torch", "data": name, "model": model}
    memory.lap()
    try:
        for line in machine.json_lines(command, min(args.left(), args.limit)):
            yield base | {"memory_mib": memory.lap()} | line
    except Failed as failed:
        yield base | {"what": "epoch", "how": "the rest", "error": str(failed)}


def about(args):
    """What the numbers were measured with."""
    code = "import torch; print(torch.__version__, torch.cuda.is_available())"
    found = (machine.output(sys.executable, "-c", code) or "").split()
    torch, cuda = (found[0], found[1] == "True") if len(found) == 2 else (None, False)
    commit = machine.output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") or os.environ.get("COMMIT", "unknown")
    args.program = machine.program()
    version = machine.output(args.program, "--version") if args.program else None
    found = {"card": machine.card(), "torch": torch, "cuda": cuda, "commit": commit, "alike": version}
    return found | {"cpus": os.cpu_count()}


def main():
    args = arguments()
    if args.check:
        device = "cuda" if about(args)["cuda"] else "cpu"
        return os.execv(sys.executable, [sys.executable, str(HERE / "check.py"), f"--device={device}"])
    args.data = "quick" if args.quick else args.data
    args.data_root = args.data_root or pathlib.Path(os.environ.get("ALIKE_DATA", ROOT / "data"))
    args.out = args.out or pathlib.Path(os.environ.get("OUT", args.work))
    end = time.monotonic() + args.budget
    args.left = lambda: end - time.monotonic()
    args.device_flag = None
    info = about(args)
    if not info["card"] and not args.quick:
        sys.exit("error: no NVIDIA GPU: nvidia-smi finds none (--quick tries the script without)")
    args.torch_device = "cuda" if info["cuda"] else "cpu"
    sides, notes = {"alike", "torch"} if not args.only else {args.only}, []
    if "torch" in sides and not info["torch"]:
        sides.discard("torch"), notes.append("PyTorch: not measured, this Python has none")
    elif "torch" in sides and not info["cuda"] and not args.quick:
        sides.discard("torch"), notes.append(f"PyTorch: not measured, torch {info['torch']} sees no CUDA device")
    if not args.program:
        sides.discard("alike"), notes.append("alike: not measured, no program: set ALIKE, or build with cargo build --release")
    elif "alike" in sides:
        try:
            args.device_flag = pick_device(args)
        except Failed as failed:
            sides.discard("alike"), notes.append(f"alike: not measured: {failed}")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if not sides:
        sys.exit("error: nothing to measure; see the notes")
    results, memory = [], machine.Memory()
    args.out.mkdir(parents=True, exist_ok=True)

    def write():
        everything = {"about": info, "notes": notes, "results": results}
        (args.out / "results.json").write_text(json.dumps(everything, indent=1))
        (args.out / "results.md").write_text(table.page(info, notes, results))

    try:
        for name in args.data.split(","):
            try:
                data = prepared(name, args)
            except Failed as failed:
                notes.append(f"{name}: not measured: {failed}")
                continue
            for model in args.models.split(","):
                for side, measure in (("alike", alike), ("torch", peer)):
                    if side not in sides:
                        continue
                    if args.left() < 15:
                        why = f"the budget of {args.budget:.0f} s was spent"
                        notes.append(f"{name}, {model}, {side}: not measured, {why}")
                        continue
                    for line in measure(model, name, data, args, memory):
                        results.append(line)
                        print(json.dumps(line), flush=True)
                        write()
    finally:
        memory.close()
        write()
    print("\n" + table.page(info, notes, results))
    return 0 if any("median_s" in line for line in results) else 1


if __name__ == "__main__":
    sys.exit(main())
