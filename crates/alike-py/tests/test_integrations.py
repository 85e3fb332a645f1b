"""Trackers, searches and other libraries, with the real packages where they are here."""

import numpy as np
import pytest

import alike

SMALL = {"epochs": 4, "dim": 8, "lr": 0.01}


def metrics_of(model):
    return [record["valid"]["recall@20"] for record in model.history]


@pytest.mark.filterwarnings("ignore")
def test_mlflow(data, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from alike.integrations import mlflow as integration

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = mlflow.create_experiment("test", artifact_location=str(tmp_path / "artifacts"))
    with mlflow.start_run(experiment_id=experiment) as run:
        model = alike.fit("lightgcn", data, **SMALL, callbacks=integration.Tracker())
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert found.data.params["settings.dim"] == "8" and found.data.params["data_hash"] == data.hash
    curve = client.get_metric_history(run.info.run_id, "valid.recall_at_20")
    assert [point.value for point in curve] == pytest.approx(metrics_of(model))
    assert found.data.metrics["test_public.recall_at_20"] == pytest.approx(model.summary["test_public"]["recall@20"])
    kept = client.download_artifacts(run.info.run_id, "run")
    assert list(alike.load(kept, data).recommend("u1")) == list(model.recommend("u1"))


@pytest.mark.filterwarnings("ignore")
def test_wandb(data, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from alike.integrations import wandb as integration

    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(mode="offline", project="test", dir=str(tmp_path))
    model = alike.fit("lightgcn", data, **SMALL, callbacks=integration.Tracker())
    assert run.config["settings.dim"] == 8 and run.config["data_hash"] == data.hash
    assert run.summary["valid.recall@20"] == pytest.approx(metrics_of(model)[-1])
    assert run.summary["test_public.recall@20"] == pytest.approx(model.summary["test_public"]["recall@20"])
    wandb.finish()
    assert any(tmp_path.rglob("*.wandb"))


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(data, tmp_path):
    pytest.importorskip("tensorboardX")
    from alike.integrations import tensorboard

    alike.fit("lightgcn", data, **SMALL, callbacks=tensorboard.Tracker(tmp_path))
    written = b"".join(file.read_bytes() for file in tmp_path.glob("events*"))
    for name in (b"valid.recall_20", b"loss", b"test.recall_20", b"dim = 8"):
        assert name in written


@pytest.mark.filterwarnings("ignore")
def test_optuna(data):
    optuna = pytest.importorskip("optuna")
    from alike.integrations.optuna import Pruning

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        # The second one learns nothing, and is ended.
        lr = [0.05, 0.0][trial.number]
        model = alike.fit("lightgcn", data, epochs=20, dim=8, lr=lr, test=False, callbacks=Pruning(trial))
        return model.summary["valid"]["recall@20"]

    pruner = optuna.pruners.ThresholdPruner(lower=0.82, n_warmup_steps=15)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.state == optuna.trial.TrialState.COMPLETE and len(first.intermediate_values) == 20
    assert second.state == optuna.trial.TrialState.PRUNED and len(second.intermediate_values) < 20


@pytest.mark.filterwarnings("ignore")
def test_implicit(data):
    als = pytest.importorskip("implicit.als")
    theirs = als.AlternatingLeastSquares(factors=16, iterations=5, random_state=0, num_threads=1)
    theirs.fit(alike.interop.to_implicit(data), show_progress=False)
    mine = alike.interop.from_implicit(theirs, data)
    assert mine.settings["source"] == "implicit.AlternatingLeastSquares"
    rows = np.arange(data.n_users)
    ids, scores = theirs.recommend(rows, sum(map(lambda s: alike.interop.to_implicit(data, s), ("train", "valid"))), N=5)
    found, own = mine.recommend_ids(rows, k=5)
    assert (found == ids).mean() > 0.99 and np.allclose(own, scores, atol=1e-4)
    assert mine.evaluate()["recall@20"] > alike.fit("popularity", data).evaluate()["recall@20"]


@pytest.mark.filterwarnings("ignore")
def test_cornac(data):
    cornac = pytest.importorskip("cornac")
    tuples = alike.interop.to_cornac(data)
    theirs = cornac.data.Dataset.from_uir(tuples)
    assert (theirs.num_users, theirs.num_ratings) == (data.n_users, data.csr().nnz)
    again = alike.interop.from_tuples(tuples)
    assert set(again.users) == set(data.users) and sum(again.csr(s).nnz for s in ("train", "valid", "test")) == len(tuples)
    with pytest.raises(ValueError, match="allowed: user, item, rating, time"):
        alike.interop.from_tuples([("u",)])


@pytest.mark.filterwarnings("ignore")
def test_lenskit(data):
    lenskit = pytest.importorskip("lenskit.data")
    frame = alike.interop.to_lenskit(data)
    theirs = lenskit.from_interactions_df(frame)
    assert (theirs.user_count, theirs.interaction_count) == (data.n_users, data.csr().nnz)
    again = alike.prepare(theirs.interaction_table(format="pandas", original_ids=True))
    assert set(again.users) == set(data.users)


def test_files_of_recbole_and_mmrec(data, tmp_path):
    folder = alike.interop.to_recbole(data, tmp_path, "kinds")
    assert sorted(file.name for file in folder.iterdir()) == [f"kinds{part}.inter" for part in ("", ".test", ".train", ".valid")]
    again = alike.prepare(folder / "kinds.inter")
    assert again.split == "label"
    for split in ("train", "valid", "test"):
        pairs = [set(zip(d.interactions(split)["user"], d.interactions(split)["item"])) for d in (data, again)]
        assert pairs[0] == pairs[1]


@pytest.mark.filterwarnings("ignore")
def test_a_model_written_in_pytorch(data):
    pytest.importorskip("torch")
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    import lightgcn_torch

    theirs = lightgcn_torch.train(data, epochs=30, lr=0.02)
    ours = [alike.fit("lightgcn", data, epochs=30, lr=0.02, batch=2048, layers=2, seed=seed) for seed in range(3)]
    recalls = [model.evaluate("valid")["recall@10"] for model in ours]
    assert theirs.evaluate("valid")["recall@10"] > min(recalls) - 0.05
    assert theirs.settings["source"] == "torch"


def test_batches_are_those_of_training(data):
    pytest.importorskip("scipy")
    train = data.csr()
    taken = [set(train.indices[train.indptr[u] : train.indptr[u + 1]]) for u in range(data.n_users)]
    found = []
    for users, positives, negatives in data.batches(64, epoch=2, seed=3, negatives=2):
        assert len(users) == len(positives) == len(negatives) <= 128
        assert all(i in taken[u] and j not in taken[u] for u, i, j in zip(users, positives, negatives))
        found += list(zip(users[::2], positives[::2]))
    assert sorted(found) == sorted((u, i) for u in range(data.n_users) for i in taken[u])
    again = [batch[2].tolist() for batch in data.batches(64, epoch=2, seed=3, negatives=2)]
    assert again == [batch[2].tolist() for batch in data.batches(64, epoch=2, seed=3, negatives=2)]
    assert again != [batch[2].tolist() for batch in data.batches(64, epoch=3, seed=3, negatives=2)]
