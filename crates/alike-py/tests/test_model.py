"""Training, and what a model answers."""

import math
import pickle

import numpy as np
import pytest
from conftest import log, vectors

import alike


def lists(table):
    found = {}
    for row in table:
        found.setdefault(row["user"], []).append((row["item"], row["score"]))
    return found


def test_lists_are_those_of_all_scores(model, data):
    pytest.importorskip("scipy")
    users = data.users[:7]
    train, valid = data.csr("train"), data.csr("valid")
    found = lists(model.recommend(users, k=5))
    for user in users:
        scores = model.score(user, data.items)
        row = data.user_ids(user)[0]
        scores[train.indices[train.indptr[row] : train.indptr[row + 1]]] = -math.inf
        scores[valid.indices[valid.indptr[row] : valid.indptr[row + 1]]] = -math.inf
        best = sorted(range(data.n_items), key=lambda i: (-scores[i], i))[:5]
        assert [item for item, _ in found[user]] == [data.items[i] for i in best]
        assert [score for _, score in found[user]] == pytest.approx([scores[i] for i in best])


def test_scores_are_products_of_the_factors(model, data):
    users, items = model.user_factors, model.item_factors
    assert users.shape == (data.n_users, items.shape[1]) and not users.flags.writeable
    assert model.score("u3", data.items) == pytest.approx(items @ users[data.user_ids("u3")[0]], rel=1e-5)


def test_what_may_be_in_a_list(model, data):
    everything = lists(model.recommend("u1", k=1000))["u1"]
    seen = set(data.interactions("train")["item"]) - {item for item, _ in everything}
    assert {item for item, _ in lists(model.recommend("u1", k=1000, filter_seen=False))["u1"]} == set(data.items)
    first, second = everything[0][0], everything[1][0]
    assert lists(model.recommend("u1", k=1, exclude=first))["u1"][0][0] == second
    only = [item for item, _ in everything[3:9]]
    for options, expected in (
        ({"candidates": [*only, *seen]}, everything[3:9]),
        ({"candidates": only, "exclude": only[:2]}, everything[5:9]),
    ):
        found = lists(model.recommend("u1", k=9, **options))["u1"]
        assert [item for item, _ in found] == [item for item, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected])
    assert len(model.recommend(k=3)) == 3 * data.n_users
    parts = [part for table in model.recommend_batches(k=3, batch_size=7) for part in table]
    assert parts == list(model.recommend(k=3))


def test_numbers_and_ids_agree(model, data):
    items, scores = model.recommend_ids(np.arange(5), k=4)
    found = lists(model.recommend(data.users[:5], k=4))
    assert [[data.items[i] for i in row] for row in items] == [[i for i, _ in found[u]] for u in data.users[:5]]
    assert scores.shape == (5, 4) and scores.dtype == np.float32
    items, scores = model.recommend_ids([0], k=3, candidates=[2], filter_seen=False)
    assert items.tolist() == [[2, -1, -1]] and scores[0, 2] == -math.inf
    items, scores = model.recommend_ids([], k=3)
    assert items.shape == scores.shape == (0, 3) and len(model.recommend([], k=3)) == 0
    many = np.arange(20_000) % data.n_users
    items, _ = model.recommend_ids(many, k=3)
    assert np.array_equal(items, model.recommend_ids(np.arange(data.n_users), k=3)[0][many])
    with pytest.raises(ValueError, match="user number 1000"):
        model.recommend_ids([1000])
    with pytest.raises(ValueError, match="allowed: 0 and more"):
        model.recommend_ids([-1])


def test_people_whom_training_did_not_know(model, data):
    taken = [item for item in data.items if int(item[1:]) % 3 == 1][:4]
    found = lists(model.recommend(history={"new": taken, "other": []}, k=4))
    assert set(found) == {"new", "other"}
    assert not {item for item, _ in found["new"]} & set(taken)
    assert sum(int(item[1:]) % 3 == 1 for item, _ in found["new"]) >= 3
    why = model.explain(history=taken, items=[found["new"][0][0]])
    assert set(why["because"]) <= set(taken) and len(why) >= 1
    known = model.explain("u1", items=[lists(model.recommend("u1"))["u1"][0][0]])
    assert known.columns == ["item", "because", "loss", "modality"]
    varied = lists(model.recommend("u1", k=5, diversity=0.8))["u1"]
    assert len({item for item, _ in varied}) == 5


def test_cold_items_are_raised(rows):
    cold = "i34"
    rows = {name: [v for v, item in zip(values, rows["item"]) if item != cold] for name, values in rows.items()}
    names, values = vectors({"item": [*rows["item"], cold]})
    titles = {"item": names, "title": names}
    data = alike.prepare(rows, items=titles, features={"image": (names, values)})
    model = alike.fit("nsmar+", data, epochs=5, dim=8)

    def share(**options):
        return model.recommend(k=10, **options)["item"].count(cold) / data.n_users

    # Scored below the others, it comes up as it is raised; everybody may have it, so it may be in many lists.
    shares = [share(cold_items=weight) for weight in (0.0, 0.5, 1.0)]
    assert cold in data.items and shares[0] == share() and 0.1 < shares[0] < shares[1] < shares[2] < 0.8, shares
    people = {"new": ["i1", "i4", "i7"]}
    assert cold in model.recommend(history=people, k=20, cold_items=1.0)["item"]
    some = [cold, "i2", "i3", "i5"]
    plain, raised = (
        dict(zip(table["item"], table["score"].tolist()))
        for table in (model.recommend(history=people, candidates=some, cold_items=weight) for weight in (0.0, 1.0))
    )
    assert raised.pop(cold) > plain.pop(cold) and raised == plain
    with pytest.raises(ValueError, match="cold_items is 2; allowed: 0 to 1"):
        model.recommend("u1", cold_items=2)


def test_neighbours(model, data):
    near = model.similar_items(["i1", "i2"], k=3)
    assert near.columns == ["item", "rank", "similar", "score"] and len(near) == 6
    assert near["rank"].tolist() == [1, 2, 3] * 2 and "i1" not in near["similar"][:3]
    people = model.similar_users("u4", k=5)
    assert "u4" not in people["similar"] and sum(int(u[1:]) % 3 == 1 for u in people["similar"]) >= 4


def test_metrics(model, data):
    metrics = model.evaluate()
    assert metrics["recall@20"] == pytest.approx(model.summary["test_public"]["recall@20"])
    assert model.evaluate("valid")["ndcg@10"] == pytest.approx(model.summary["valid"]["ndcg@10"])
    each = metrics.per_user
    assert each["recall@20"].mean() == pytest.approx(metrics["recall@20"])
    assert {group["name"] for group in metrics.groups} >= {"cold-items", "warm-items"}

    def recall(lists, truth):
        return np.array([len(set(own[:20]) & set(held)) / len(held) for own, held in zip(lists, truth)])

    for split, protocol in (("valid", "public"), ("test", "public"), ("test", "clean")):
        both = model.evaluate(split, protocol, metrics={"mine": recall})
        assert both["mine"] == pytest.approx(both["recall@20"])
        assert np.allclose(both.per_user["mine"], both.per_user["recall@20"])
    with pytest.raises(ValueError, match="a value for each"):
        model.evaluate(metrics={"one": lambda lists, truth: np.zeros(1)})
    with pytest.raises(ValueError, match="allowed: valid, test"):
        model.evaluate("train")


def test_tables_go_to_other_libraries(model):
    table = model.recommend(["u1", "u2"], k=3)
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    for frame in (table.to_pandas(), pandas.DataFrame(table.to_dict())):
        assert list(frame.columns) == ["user", "rank", "item", "score"] and len(frame) == 6
    assert table.to_polars()["item"].to_list() == table["item"]
    arrow, again = table.to_arrow(), pyarrow.table(table)
    assert arrow["score"].chunk(0).buffers()[1].address == again["score"].chunk(0).buffers()[1].address
    assert "<table>" in table._repr_html_() and "6 rows" in repr(table)
    with pytest.raises(KeyError, match="there are user, rank"):
        table["title"]


def test_pages_show_titles_and_pictures(tmp_path):
    rows = log()
    items = sorted(set(rows["item"]))
    (tmp_path / "i1.png").write_bytes(b"not looked at")
    lines = [f"{item},This & {item},{item}.png" for item in items]
    (tmp_path / "items.csv").write_text("item,title,image\n" + "\n".join(lines) + "\n")
    data = alike.prepare(rows, items=tmp_path / "items.csv")
    assert data.image("i1") == str(tmp_path / "i1.png") and data.title("i2") == "This & i2"
    model = alike.fit("popularity", data)
    page = model.recommend(["u1"], k=3, candidates=["i1", "i2", "i3"], filter_seen=False)._repr_html_()
    assert page.count("<img ") == 1 and "data:image/png;base64,bm90" in page
    assert "This &amp; i2" in page
    near = alike.fit("itemknn", data).similar_items("i4", k=2)
    assert near["similar"][0] in near._repr_html_()


def test_models_are_opened_saved_and_pickled(model, data, tmp_path):
    expected = list(model.recommend("u1"))
    copy = model.save(tmp_path / "copy")
    for again in (alike.load(model.path), alike.load(copy.path, data), pickle.loads(pickle.dumps(copy))):
        assert list(again.recommend("u1")) == expected
        assert (again.name, again.hash, again.data.hash) == (model.name, model.hash, data.hash)
    assert len(pickle.dumps(model)) < 1000
    assert model.settings["dim"] == 16 and len(model.history) == model.summary["epochs"]
    assert "lightgcn" in model._repr_html_()
    with pytest.raises(FileNotFoundError):
        alike.load(tmp_path / "none")
    with pytest.raises(ValueError, match="run"):
        alike.load(tmp_path)
    other = alike.prepare(log(seed=5))
    with pytest.raises(ValueError, match="other data"):
        alike.load(model.path, other)


def test_same_seed_same_bits(model, data, tmp_path):
    before = alike.threads()
    try:
        alike.set_threads(3)
        assert alike.threads() == 3
        again = alike.fit("lightgcn", data, epochs=40, dim=16, lr=0.01)
    finally:
        alike.set_threads(0)
    assert alike.threads() == before
    assert again.hash == model.hash
    assert alike.fit("lightgcn", data, epochs=40, dim=16, lr=0.01, seed=1).hash != model.hash


def test_training_goes_on(model, data, tmp_path):
    run = tmp_path / "run"
    alike.fit("lightgcn", data, out=run, epochs=20, dim=16, lr=0.01)
    assert alike.fit("lightgcn", data, out=run, epochs=40, dim=16, lr=0.01, resume=True).hash == model.hash
    warm = alike.fit("lightgcn", data, epochs=5, dim=16, lr=0.01, warm_start=model)
    assert warm.summary["valid"]["recall@5"] > 0
    with pytest.raises(ValueError, match="holds a run already"):
        alike.fit("lightgcn", data, out=run, epochs=20)
    with pytest.raises(ValueError, match="needs `out`"):
        alike.fit("lightgcn", data, resume=True)


def test_wrong_settings_are_said(data):
    with pytest.raises(ValueError, match="unknown model `nsmra`; allowed: popularity"):
        alike.fit("nsmra", data)
    with pytest.raises(ValueError, match="unknown setting `dims`; allowed: .*dim"):
        alike.fit("lightgcn", data, dims=3)
    with pytest.raises(ValueError, match="setting `dim` is"):
        alike.fit("lightgcn", data, dim=0)
    with pytest.raises(TypeError, match="setting `dim`"):
        alike.fit("lightgcn", data, dim=None)
    with pytest.raises(ValueError, match="device"):
        alike.fit("lightgcn", data, device="tpu")
    assert "nsmar+" in alike.models() and alike.settings("lightgcn")["dim"]["type"] == "integer"


def test_unknown_ids_are_key_errors(model):
    for ask in (
        lambda: model.recommend("nobody"),
        lambda: model.recommend("u1", exclude="nothing"),
        lambda: model.similar_items("nothing"),
        lambda: model.recommend(history={"x": ["nothing"]}),
    ):
        with pytest.raises(KeyError, match="not in the prepared data"):
            ask()
    with pytest.raises(TypeError, match="text or a whole number"):
        model.recommend([1.5])
    with pytest.raises(ValueError, match="allowed: 1 and more"):
        model.recommend("u1", k=0)


def test_vectors_of_others_enter(model, data, tmp_path):
    users, items = model.user_factors, model.item_factors
    mine = alike.Model.from_factors(users, items, data, out=tmp_path / "mine", source="a test")
    assert mine.name == "external" and mine.settings["source"] == "a test"
    assert list(mine.recommend(k=4)) == list(model.recommend(k=4))
    assert mine.evaluate() == model.evaluate()
    assert mine.summary["test_public"] == model.summary["test_public"]
    found = lists(alike.load(tmp_path / "mine").recommend(history={"new": ["i1", "i4", "i7"]}, k=3))
    assert len(found["new"]) == 3
    with pytest.raises(ValueError, match="one row each"):
        alike.Model.from_factors(users[1:], items, data)
    with pytest.raises(ValueError, match="same width"):
        alike.Model.from_factors(users[:, 1:], items, data)
    broken = users.copy()
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="user number 2 holds NaN"):
        alike.Model.from_factors(broken, items, data)


@pytest.mark.parametrize("name", ["popularity", "itemknn", "slim", "nsmar+", "alloy"])
def test_other_models_answer_too(name, data):
    settings = {} if name in ("popularity", "itemknn", "slim") else {"epochs": 3}
    model = alike.fit(name, data, settings=settings)
    assert len(model.recommend(["u1"], k=3)) == 3
    assert len(model.recommend(history={"x": ["i1", "i4"]}, k=3)) == 3
    if name == "popularity":
        assert model.user_factors is None and model.item_factors is None
        with pytest.raises(ValueError, match="no item vectors"):
            model.similar_items("i1")
    else:
        assert len(model.similar_items("i1", k=2)) >= 1
