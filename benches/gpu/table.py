"""The measured lines as one Markdown page."""

TARGETS = {("nsmar+", "epoch"): 3.0, ("lightgcn", "epoch"): 1.0}
NAMES = {"nsmar+": "NSMAR+", "lightgcn": "LightGCN"}


def seconds(value):
    return "" if value is None else f"{value:.4f}" if value < 1 else f"{value:.2f}"


def whole(value):
    return "" if value is None else f"{value:,}"


def rows_of(lines, **wanted):
    return [r for r in lines if "median_s" in r and all(r.get(k) == v for k, v in wanted.items())]


def best(lines):
    return min(lines, key=lambda r: r["median_s"], default=None)


def times(line):
    """Seconds, and from how many timings."""
    if not line:
        return ""
    scaled = ", scaled" if line.get("scaled_from") else ""
    return f"{seconds(line['median_s'])} ({line['runs']}{scaled})"


def table(head, rows):
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in row) + " |" for row in cells)


def compared(results):
    out = []
    keys = dict.fromkeys((r["data"], r["model"], w) for r in results for w in ("epoch", "evaluation"))
    for data, model, what in keys:
        same = {"data": data, "model": model, "what": what}
        ours = best(rows_of(results, side="alike", **same))
        theirs = best(rows_of(results, side="torch", tf32=False, **same))
        fast = best(rows_of(results, side="torch", tf32=True, **same))
        if not ours and not theirs:
            continue
        ratio = lambda t: t["median_s"] / ours["median_s"] if ours and t else None  # noqa: E731
        found, target = ratio(theirs), TARGETS.get((model, what))
        row = [data, f"{NAMES[model]} {what}", times(ours), times(theirs), theirs["how"] if theirs else ""]
        row += [f"{found:.2f}×" if found else "", f"{target:g}×" if target else ""]
        row += ["" if not (found and target) else "yes" if found >= target else "no"]
        row += [times(fast), f"{ratio(fast):.2f}×" if ratio(fast) else ""]
        row += [whole(ours.get("memory_mib")) if ours else ""]
        row += [whole(theirs.get("memory_mib")), whole(theirs.get("allocated_mib"))] if theirs else ["", ""]
        out.append(row)
    head = ["data", "", "alike, s", "PyTorch, s", "fastest way", "ratio", "wanted", "met", "PyTorch TF32, s", "ratio"]
    return table(head + ["alike, MiB", "PyTorch, MiB", "of these allocated"], out)


def tried(results):
    out = []
    for r in results:
        if r.get("what") not in ("epoch", "evaluation"):
            continue
        steps = f"{r['median_s'] / r['steps'] * 1000:.2f}" if r.get("steps") and "median_s" in r else ""
        notes = [f"TF32 {'on' if r['tf32'] else 'off'}"] if "tf32" in r else []
        notes += [f"batch {r['batch']}"] if r.get("batch") else []
        notes += [f"from {r['scaled_from']} {'steps' if r['what'] == 'epoch' else 'users'}"] if r.get("scaled_from") else []
        notes += [f"first {seconds(r['first_s'])} s"] if "first_s" in r else []
        notes += [f"forward {seconds(r['forward_s'])} s"] if "forward_s" in r else []
        notes += [f"recall@20 {r['recall']:.4f}"] if r.get("recall") is not None else []
        notes += [f"**failed**: {r['error']}".replace("|", "/")] if "error" in r else []
        result = [times(r) if "median_s" in r else "", seconds(r.get("min_s")), steps]
        memory = [whole(r.get("memory_mib")), whole(r.get("allocated_mib"))]
        out.append([r["data"], r["model"], r["what"], r["side"], r["how"], *result, *memory, ", ".join(notes)])
    head = ["data", "model", "what", "side", "way", "median, s", "least, s", "ms a step", "MiB", "allocated", ""]
    return table(head, out)


def page(about, notes, results):
    card, driver = about["card"] or ("no GPU: a trial of the script", "none")
    lines = ["# alike against PyTorch on one card", ""]
    lines += [f"{card}, driver {driver}; PyTorch {about['torch'] or 'not there'}; {about['alike'] or 'no alike'} at commit "]
    lines[-1] += f"`{about['commit']}`; {about['cpus']} CPU cores; NSMAR+ with one negative per pair."
    lines += ["Medians of as many timings as stand in brackets; ratio: seconds of PyTorch over seconds of alike.", ""]
    lines += [compared(results), ""]
    lines += [f"- {note}" for note in notes] + [""] * bool(notes)
    lines += ["## All that was tried", "", tried(results), ""]
    for r in results:
        if r.get("what") == "profile":
            rows = [[f"`{n}`".replace("|", "/"), f"{ms:.3f}", f"{100 * share:.1f} %", f"{calls:.0f}"] for n, ms, share, calls in r["rows"]]
            lines += [f"## Where PyTorch's step goes: {NAMES[r['model']]} on {r['data']}, {r['how']}", ""]
            lines += [table(["kernel", "ms a step", "share", "calls a step"], rows), ""]
    return "\n".join(lines)
