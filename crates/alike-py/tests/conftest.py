"""What the tests share: small data with a pattern to learn."""

from pathlib import Path

import numpy as np
import pytest

import alike


def log(users: int = 150, items: int = 36, seed: int = 0) -> dict[str, list[str]]:
    """People of three kinds, each of whom takes items of their kind mostly."""
    random = np.random.default_rng(seed)
    rows: dict[str, list[str]] = {"user": [], "item": []}
    for user in range(users):
        own = [item for item in range(items) if item % 3 == user % 3]
        taken = list(random.choice(own, 6, replace=False)) + [int(random.integers(items))]
        for item in dict.fromkeys(int(i) for i in taken):
            rows["user"].append(f"u{user}")
            rows["item"].append(f"i{item}")
    return rows


def vectors(rows: dict[str, list[str]]) -> tuple[list[str], np.ndarray]:
    """Features that say the kind of an item."""
    names = sorted(set(rows["item"]))
    random = np.random.default_rng(1)
    kinds = np.eye(3, dtype=np.float32)[[int(name[1:]) % 3 for name in names]]
    return names, np.hstack([kinds, random.normal(0, 0.1, (len(names), 5))]).astype(np.float32)


@pytest.fixture(scope="session")
def rows() -> dict[str, list[str]]:
    return log()


@pytest.fixture(scope="session")
def data(rows: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> alike.Data:
    out = tmp_path_factory.mktemp("data") / "prepared"
    return alike.prepare(rows, out=out, features={"image": vectors(rows), "text": vectors(rows)}, name="kinds")


@pytest.fixture(scope="session")
def model(data: alike.Data, tmp_path_factory: pytest.TempPathFactory) -> alike.Model:
    out: Path = tmp_path_factory.mktemp("runs") / "lightgcn"
    return alike.fit("lightgcn", data, out=out, epochs=40, dim=16, lr=0.01)
