"""Filtered lists of a million items: the server beside Qdrant's engine, pgvector and faiss, on the same vectors.

    pip install numpy pandas pyarrow faiss-cpu qdrant-edge-py pgserver psycopg[binary]
    python benches/serving/filtered.py target/release/alike --work DIR [--items 1000000] [--only alike faiss …]

Each asks for the 20 best items of a person by inner product among those whose price lies in a band that lets through a
share of the items. One client, one request at a time; the same people and bands for all. Prints a line of JSON per system
and share: p50 and p99 in milliseconds, and the recall against the exact list. The server's times have HTTP and JSON in
them, and the rows of titles; those of the others are calls within the process, or over a local socket (pgvector).
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WIDTH, PEOPLE, TOP, ROUNDS = 64, 20_000, 20, 200
SHARES = [0.001, 0.01, 0.1, 0.5]


def made(work, items):
    """Vectors, prices and bands; a log in which every item is taken once."""
    rng = np.random.default_rng(7)
    users = rng.standard_normal((PEOPLE, WIDTH), dtype=np.float32)
    rows = rng.standard_normal((items, WIDTH), dtype=np.float32)
    prices = rng.integers(0, 100_000, items)
    asked = rng.integers(0, PEOPLE, ROUNDS)
    return users, rows, prices, asked


def band(share, at):
    """The band of prices of a request: always another, so that nobody has its set ready."""
    width = int(100_000 * share)
    start = (at * 7919) % max(100_000 - width, 1)
    return start, start + width


def timed(name, share, ask, exact):
    took, right = [], 0
    for at in range(ROUNDS):
        began = time.perf_counter()
        found = ask(at)
        took.append((time.perf_counter() - began) * 1000)
        right += len(set(found) & set(exact[at]))
    took = np.sort(took)
    line = {"system": name, "share": share, "p50_ms": round(float(np.percentile(took, 50)), 3)}
    line |= {"p99_ms": round(float(np.percentile(took, 99)), 3), "recall": round(right / (ROUNDS * TOP), 4)}
    print(json.dumps(line), flush=True)


def exact_lists(users, rows, prices, asked, share, history):
    lists = []
    for at, user in enumerate(asked):
        low, high = band(share, at)
        inside = np.flatnonzero((prices >= low) & (prices < high))
        inside = np.setdiff1d(inside, history[user])
        scores = rows[inside] @ users[user]
        best = np.argpartition(-scores, min(TOP, len(scores) - 1))[:TOP]
        lists.append(inside[best[np.argsort(-scores[best])]].tolist())
    return lists


def serve(program, work, users, rows, prices):
    """Prepares, takes the vectors as a run, serves it; the connection."""
    items = len(rows)
    if not (work / "run" / "run.json").exists():
        import pandas

        owner = np.arange(items) % PEOPLE
        table = pandas.DataFrame({"user": owner, "item": np.arange(items), "x_label": 0})
        extra = pandas.DataFrame({"user": owner[:PEOPLE], "item": (np.arange(PEOPLE) + 1) % items, "x_label": 1 + np.arange(PEOPLE) % 2})
        pandas.concat([table, extra]).astype({"user": str, "item": str}).to_parquet(work / "log.parquet")
        catalogue = pandas.DataFrame({"item_id": np.arange(items).astype(str), "price": prices})
        catalogue["title"] = "Item " + catalogue["item_id"]
        catalogue.to_parquet(work / "items.parquet")
        np.savez(work / "vectors.npz", users=users, items=rows, user_ids=np.arange(PEOPLE).astype(str),
                 item_ids=np.arange(items).astype(str))
        run = lambda *args: subprocess.run([program, *map(str, args), "--quiet"], check=True)
        run("prepare", "--interactions", work / "log.parquet", "--items", work / "items.parquet", "--attribute", "price",
            "--out", work / "data")
        run("evaluate", "--vectors", work / "vectors.npz", "--data", work / "data", "--out", work / "run")
    address = "127.0.0.1:8991"
    server = subprocess.Popen([program, "serve", str(work / "run"), "--address", address, "--store", f"sqlite:{work}/events.sqlite", "--held-out-is-history", "--quiet"],
                              stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    return server, http.client.HTTPConnection(address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", default=["alike", "faiss", "qdrant", "pgvector"])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    users, rows, prices, asked = made(args.work, args.items)
    history = {int(u): np.append(np.arange(u, args.items, PEOPLE), (u + 1) % args.items) for u in set(asked.tolist())}
    exact = {share: exact_lists(users, rows, prices, asked, share, history) for share in SHARES}
    # The others have no histories: their lists are longer and what the person has is taken out.
    spare = TOP + max(len(h) for h in history.values())

    if "alike" in args.only:
        server, connection = serve(args.program, args.work, users, rows, prices)

        def ask(at, share, band=band):
            low, high = band(share, at)
            rules = {"filter": {"must": [{"key": "price", "range": {"gte": low, "lt": high}}]}}
            body = json.dumps({"user": str(asked[at]), "top": TOP, "rules": rules})
            connection.request("POST", "/v1/recommendations", body, {"content-type": "application/json", "host": "localhost"})
            answer = json.loads(connection.getresponse().read())
            return [int(item["item"]) for item in answer["items"]]

        for share in SHARES:
            connection.close()
            timed("alike serve, a new filter each time", share, lambda at: ask(at, share), exact[share])
        for share in SHARES:
            same = lambda share, at: band(share, 0)
            fixed = [exact_lists(users, rows, prices, asked[at:at + 1], share, history)[0] for at in range(ROUNDS)]
            connection.close()
            timed("alike serve, a filter it has", share, lambda at: ask(at, share, same), fixed)
        with open(f"/proc/{server.pid}/status") as status:
            memory = next(line for line in status if line.startswith("VmRSS"))
        print(json.dumps({"system": "alike serve", "resident_mib": int(memory.split()[1]) // 1024}), flush=True)
        server.terminate()
        server.wait()

    without = lambda found, at: [item for item in found if item not in history[int(asked[at])]][:TOP]
    if "faiss" in args.only:
        import faiss

        flat = faiss.IndexFlatIP(WIDTH)
        flat.add(rows)

        def ask(at, share):
            low, high = band(share, at)
            inside = np.flatnonzero((prices >= low) & (prices < high))
            chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(inside))
            return without(flat.search(users[asked[at]][None], spare, params=chosen)[1][0].tolist(), at)

        for share in SHARES:
            timed("faiss, flat, IDSelectorBatch", share, lambda at: ask(at, share), exact[share])

    if "qdrant" in args.only:
        import qdrant_edge as qdrant

        place = args.work / "qdrant"
        if place.exists():
            shard = qdrant.EdgeShard.load(str(place))
        else:
            place.mkdir()
            vectors = qdrant.EdgeVectorParams(size=WIDTH, distance=qdrant.Distance.Dot)
            shard = qdrant.EdgeShard.create(str(place), qdrant.EdgeConfig(vectors=vectors))
            shard.update(qdrant.UpdateOperation.create_field_index("price", qdrant.PayloadSchemaType.Integer))
            for first in range(0, args.items, 10_000):
                span = range(first, min(first + 10_000, args.items))
                points = [qdrant.Point(i, rows[i].tolist(), {"price": int(prices[i])}) for i in span]
                shard.update(qdrant.UpdateOperation.upsert_points(points))
            began = time.perf_counter()
            shard.optimize()
            print(json.dumps({"system": "qdrant", "optimize_s": round(time.perf_counter() - began, 1)}), flush=True)

        def ask(at, share):
            low, high = band(share, at)
            inside = qdrant.FieldCondition(key="price", range=qdrant.RangeFloat(gte=low, lt=high))
            query = qdrant.Query.Nearest(users[asked[at]].tolist())
            request = qdrant.QueryRequest(limit=spare, query=query, filter=qdrant.Filter(must=[inside]))
            return without([point.id for point in shard.query(request)], at)

        for share in SHARES:
            timed("Qdrant Edge, its own plan", share, lambda at: ask(at, share), exact[share])

    if "pgvector" in args.only:
        import pgserver
        import psycopg

        server = pgserver.get_server(args.work / "postgres")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            there = connection.execute("SELECT to_regclass('items')").fetchone()[0]
            if not there:
                connection.execute(f"CREATE TABLE items (id int PRIMARY KEY, price int, v vector({WIDTH}))")
                with connection.cursor().copy("COPY items FROM STDIN") as copy:
                    for i in range(args.items):
                        copy.write_row((i, int(prices[i]), "[" + ",".join(map(str, rows[i].tolist())) + "]"))
                connection.execute("CREATE INDEX ON items (price)")
                connection.execute("VACUUM ANALYZE items")

            def ask(at, share):
                low, high = band(share, at)
                vector = "[" + ",".join(map(str, users[asked[at]].tolist())) + "]"
                found = connection.execute("SELECT id FROM items WHERE price >= %s AND price < %s ORDER BY v <#> %s::vector LIMIT %s",
                                           (low, high, vector, spare)).fetchall()
                return without([row[0] for row in found], at)

            for share in SHARES:
                timed("pgvector, exact, index on price", share, lambda at: ask(at, share), exact[share])
        server.cleanup()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    sys.exit(main())
