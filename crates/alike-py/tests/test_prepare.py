"""Data from wherever people have them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import vectors

import alike


def test_a_file_a_frame_and_columns_give_the_same_data(rows, tmp_path):
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    file = tmp_path / "data.csv"
    file.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(rows["user"], rows["item"])))
    by_file = alike.prepare(file)
    for table in (rows, pandas.DataFrame(rows), polars.DataFrame(rows), polars.LazyFrame(rows), pyarrow.table(rows)):
        data = alike.prepare(table)
        assert (data.hash, data.name) == (by_file.hash, "data")
        assert (data.users, data.items) == (by_file.users, by_file.items)


def test_more_interactions_come_after_the_first(rows, tmp_path):
    whole = alike.prepare(rows)
    half = len(rows["user"]) // 2
    first = {name: values[:half] for name, values in rows.items()}
    file = tmp_path / "rest.csv"
    file.write_text("customer,sku\n" + "".join(f"{u},{i}\n" for u, i in zip(rows["user"][half:], rows["item"][half:])))
    both = alike.prepare(first, more=[file])
    assert (both.users, both.items) == (whole.users, whole.items)
    for split in ("train", "valid", "test"):
        assert (both.csr(split) != whole.csr(split)).nnz == 0
    with pytest.raises(FileNotFoundError):
        alike.prepare(first, more=["nowhere.csv"])


def test_interactions_fade_and_are_taken_back(rows):
    count = len(rows["user"])
    dated = {**rows, "time": 1_700_000_000 + 86_400 * np.arange(count), "event": ["buy"] * count}
    weights = alike.prepare(dated, half_life=30).csr("train").data
    assert 0 < weights.min() < weights.max() <= 1
    back = {name: [*values, values[0]] for name, values in dated.items()}
    back["event"][-1], back["time"][-1] = "refund", 1_800_000_000
    fewer = alike.prepare(back, events={"buy": 1, "refund": 0})
    assert sum(fewer.csr(split).nnz for split in ("train", "valid", "test")) == count - 1


def test_attributes_of_the_catalogue_are_filtered_by(rows):
    names = sorted(set(rows["item"]))
    items = {"sku": names, "cost": [float(n) for n in range(len(names))], "maker": ["ab"[n % 2] for n in range(len(names))]}
    data = alike.prepare(rows, items=items, item_columns={"id": "sku", "price": "cost", "brand": "maker"})
    cheap = {"key": "price", "range": {"lt": 4}}
    assert sorted(data.passing({"must": [cheap]})) == sorted(map(str, names[:4]))
    assert sorted(data.passing({"must": [cheap, {"key": "brand", "match": {"value": "b"}}]})) == sorted(map(str, names[1:4:2]))
    assert len(data.passing({})) == data.n_items
    with pytest.raises(ValueError, match="filter.must"):
        data.passing({"must": 7})


def test_categories_and_numbers_are_ids_too(rows):
    pandas = pytest.importorskip("pandas")
    plain = alike.prepare(rows)
    kinds = pandas.DataFrame({name: pandas.Categorical(values) for name, values in rows.items()})
    assert alike.prepare(kinds).hash == plain.hash
    numbers = {name: np.array([int(v[1:]) for v in values]) for name, values in rows.items()}
    data = alike.prepare(numbers)
    assert set(data.users) == {str(n) for n in set(numbers["user"])}
    assert alike.prepare(pandas.DataFrame(numbers)).hash == data.hash


def test_matrices_of_implicit(data):
    sparse = pytest.importorskip("scipy.sparse")
    parts = [data.csr(split) for split in ("train", "valid", "test")]
    again = alike.Data.from_csr(*parts)
    for split, part in zip(("train", "valid", "test"), parts):
        found = again.csr(split)
        rows, cols = (np.array(ids, dtype=int) for ids in (again.users, again.items))
        assert (sparse.csr_array(part)[rows][:, cols] != found).nnz == 0
    whole = alike.Data.from_csr(parts[0] + parts[1] + parts[2], split="leave-one-out")
    assert whole.split == "leave-one-out" and whole.n_users == data.n_users
    with pytest.raises(ValueError, match="same shape"):
        alike.Data.from_csr(parts[0], parts[1][:5], parts[2])


def test_arrays_are_views_that_nobody_can_write_to(rows, data):
    pytest.importorskip("scipy")
    csr, features = data.csr(copy=False), data.features("text")
    assert csr.shape == (data.n_users, data.n_items)
    assert np.shares_memory(csr.indices, data.csr(copy=False).indices)
    own = data.csr()
    own.data[:] = 2
    assert (own != 2 * csr).nnz == 0
    names, values = vectors(rows)
    assert np.array_equal(features[data.item_ids(names)], values)
    for array in (csr.data, csr.indices, csr.indptr, features):
        assert not array.flags.writeable
    with pytest.raises(KeyError, match="sound"):
        data.features("sound")
    table = data.interactions()
    assert len(table) == csr.nnz and table.columns == ["user", "item"]


def test_views_outlive_what_they_are_of(rows):
    data = alike.prepare(rows, features={"image": vectors(rows)})
    features = data.features("image")
    before = features.copy()
    del data
    assert np.array_equal(features, before)


def test_options_and_reports(rows, tmp_path):
    renamed = {"who": rows["user"], "what": rows["item"], "stars": [5.0] * len(rows["user"])}
    columns = {"user": "who", "item": "what", "rating": "stars"}
    data = alike.prepare(renamed, columns=columns, min_rating=3, k_core=2, split="leave-one-out", seed=3)
    assert data.split == "leave-one-out" and data.report["users"] == data.n_users
    assert "users" in str(data.report) and "<pre>" in data.report._repr_html_()
    assert f"{data.n_users} users" in repr(data) and "leave-one-out" in data._repr_html_()
    titles = {"item": sorted(set(rows["item"])), "title": [f"The {i}" for i in sorted(set(rows["item"]))]}
    assert alike.prepare(rows, items=titles).title("i3") == "The i3"


def test_what_cannot_be_prepared_is_said(rows, tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        alike.prepare(tmp_path / "none.csv")
    assert missing.value.filename == str(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError):
        alike.Data.open(tmp_path / "none")
    with pytest.raises(ValueError, match="run|prepared|manifest"):
        alike.Data.open(tmp_path)
    with pytest.raises(ValueError, match="allowed: user, item"):
        alike.prepare(rows, columns={"buyer": "user"})
    with pytest.raises(ValueError, match="allowed: label, random"):
        alike.prepare(rows, split="shuffled")
    with pytest.raises(ValueError, match="columns are"):
        alike.prepare({"a": ["1"], "b": ["2"]}, columns={"user": "u"})
    with pytest.raises(ValueError, match="not equally long"):
        alike.prepare({"user": ["1", "2"], "item": ["2"]})
    with pytest.raises(TypeError, match="allowed: a path"):
        alike.prepare(3)
    names, values = vectors(rows)
    with pytest.raises(ValueError, match="one id per row"):
        alike.prepare(rows, features={"image": (names[1:], values)})
    with pytest.raises(ValueError, match="NaN|finite"):
        alike.prepare(rows, features={"image": (names, np.full_like(values, np.nan))})
    with pytest.raises(ValueError, match="2, a row per item"):
        alike.prepare(rows, features={"image": values[0]})


def test_pickles_are_a_path_and_a_hash(data, rows, tmp_path):
    text = pickle.dumps(data)
    again = pickle.loads(text)
    assert again.hash == data.hash and len(text) < 500
    out = tmp_path / "moving"
    moving = alike.prepare(rows, out=out)
    text = pickle.dumps(moving)
    alike.prepare(rows, out=out, seed=1)
    with pytest.raises(ValueError, match="have changed"):
        pickle.loads(text)


def test_folders_last_as_long_as_what_is_in_them(rows):
    data = alike.prepare(rows)
    path = Path(data.path)
    assert path.is_dir()
    model = alike.fit("popularity", data)
    run = Path(model.path)
    del data
    assert path.is_dir() and run.is_dir()
    del model
    assert not path.exists() and not run.exists()
