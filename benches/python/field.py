"""What people do in Python with implicit, Cornac, LensKit and RecBole, and the same with alike, by turns in one process.

    python field.py [ml_small | FILE.inter] [--rounds 3] [--threads 2]

Prints a line of JSON per task and library: median seconds. A library that is not installed is said to be missing. The alike
wheel must be a release build. Models have 64 factors and see each interaction equally often; ranking is of all items for all
users, 20 each, without what they took."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("data", nargs="?", default="ml_small")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--only", default="")
args = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(args.threads)

import alike  # noqa: E402
import numpy as np  # noqa: E402
import scipy.sparse  # noqa: E402

alike.set_threads(args.threads)
FACTORS, EPOCHS, K = 64, 10, 20
bundled = Path(__file__).parents[2] / "crates/alike-cli/data/ml_small/ml_small.inter"
data = alike.prepare(bundled if args.data == "ml_small" else args.data, split="label", name=Path(args.data).stem)
train = scipy.sparse.csr_matrix(data.csr())
users, items = np.arange(data.n_users), np.arange(data.n_items)


def seconds(work):
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def alike_bpr():
    options = {"dim": FACTORS, "epochs": EPOCHS, "eval_every": EPOCHS, "batch": 2048, "test": False, "progress": False}
    fit, model = seconds(lambda: alike.fit("bpr", data, **options))
    # Of the fit, what training took; the rest is evaluation, which the others do not do, and the run folder.
    steps = sum(record["train_seconds"] for record in model.history)
    recommend, _ = seconds(lambda: model.recommend_ids(users, K))
    table, _ = seconds(lambda: model.recommend(k=K))
    similar, _ = seconds(lambda: model.similar_items(data.items, 10))
    return {"bpr fit": fit, "bpr steps": steps, "recommend": recommend, "recommend, ids": table, "similar_items": similar}


def alike_lightgcn():
    options = {"dim": FACTORS, "epochs": EPOCHS, "eval_every": EPOCHS, "batch": 2048, "layers": 2, "test": False, "progress": False}
    fit, model = seconds(lambda: alike.fit("lightgcn", data, **options))
    return {"lightgcn fit": fit, "lightgcn steps": sum(record["train_seconds"] for record in model.history)}


def implicit_bpr():
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(factors=FACTORS, iterations=EPOCHS, num_threads=args.threads, random_state=1)
    fit, _ = seconds(lambda: model.fit(train, show_progress=False))
    recommend, _ = seconds(lambda: model.recommend(users, train, N=K))
    similar, _ = seconds(lambda: model.similar_items(items, N=11))
    return {"bpr fit": fit, "recommend": recommend, "similar_items": similar}


def cornac_bpr():
    import cornac

    known = cornac.data.Dataset.from_uir(alike.interop.to_cornac(data))
    model = cornac.models.BPR(k=FACTORS, max_iter=EPOCHS, num_threads=args.threads, seed=1, verbose=False)
    fit, _ = seconds(lambda: model.fit(known))
    recommend, _ = seconds(lambda: [model.recommend(user, k=K, remove_seen=True, train_set=known) for user in data.users])
    return {"bpr fit": fit, "recommend, ids": recommend}


def lenskit_bpr():
    import logging

    logging.disable(logging.WARNING)
    import lenskit
    from lenskit.batch import recommend as batch
    from lenskit.data import from_interactions_df
    from lenskit.flexmf import FlexMFImplicitScorer
    from lenskit.pipeline import topn_pipeline

    known = from_interactions_df(alike.interop.to_lenskit(data))
    scorer = FlexMFImplicitScorer(embedding_size=FACTORS, epochs=EPOCHS, loss="pairwise", batch_size=2048)
    pipe = topn_pipeline(scorer, n=K)
    fit, _ = seconds(lambda: pipe.train(known))
    recommend, _ = seconds(lambda: batch(pipe, list(known.users.ids()), K, n_jobs=1))
    del lenskit
    return {"bpr fit": fit, "recommend, ids": recommend}


def recbole_lightgcn():
    import logging
    import tempfile

    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.model.general_recommender import LightGCN
    from recbole.trainer import Trainer
    from recbole.utils import init_seed

    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        alike.interop.to_recbole(data, folder, "d")
        settings = {
            "data_path": folder, "benchmark_filename": ["train", "valid", "test"], "embedding_size": FACTORS, "n_layers": 2,
            "epochs": EPOCHS, "train_batch_size": 2048, "eval_step": 0, "use_gpu": False, "show_progress": False, "state": "CRITICAL",
            "load_col": {"inter": ["user_id", "item_id"]}, "checkpoint_dir": folder, "topk": [K], "metrics": ["Recall"], "valid_metric": f"Recall@{K}",
        }
        sys.argv = sys.argv[:1]
        config = Config(model="LightGCN", dataset="d", config_dict=settings)
        init_seed(1, True)
        known = create_dataset(config)
        batches, valid, _ = data_preparation(config, known)
        model = LightGCN(config, batches.dataset).to(config["device"])
        trainer = Trainer(config, model)
        fit, _ = seconds(lambda: trainer.fit(batches, None, saved=False, show_progress=False))
        recommend, _ = seconds(lambda: trainer.evaluate(valid, load_best_model=False, show_progress=False))
    return {"lightgcn fit": fit, "evaluate": recommend}


def alike_evaluate():
    model = alike.fit("lightgcn", data, epochs=1, dim=FACTORS, test=False, progress=False)
    return {"evaluate": seconds(lambda: model.evaluate("valid"))[0]}


LIBRARIES = {
    "alike": [alike_bpr, alike_lightgcn, alike_evaluate],
    "implicit": [implicit_bpr],
    "cornac": [cornac_bpr],
    "lenskit": [lenskit_bpr],
    "recbole": [recbole_lightgcn],
}
found: dict[tuple[str, str], list[float]] = {}
missing: dict[str, str] = {}
for _ in range(args.rounds):
    for library, tasks in LIBRARIES.items():
        if library in missing or args.only not in library and library != "alike":
            continue
        for task in tasks:
            try:
                for name, took in task().items():
                    found.setdefault((name, library), []).append(took)
            except ImportError as error:
                missing[library] = str(error)
for (task, library), times in sorted(found.items()):
    print(json.dumps({"data": data.name, "task": task, "library": library, "seconds": round(statistics.median(times), 4)}))
for library, why in missing.items():
    print(json.dumps({"missing": library, "why": why}))
