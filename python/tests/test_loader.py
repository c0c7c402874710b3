"""Batches for training loops."""

import numpy as np
import pytest

import sheafdb


def test_batches_are_whole_and_in_order(con):
    rel = con.sql("SELECT n, n * 0.5::REAL AS x FROM range(100000) AS t(n) ORDER BY n")
    batches = list(rel.loader(300))
    assert [len(b["n"]) for b in batches] == [300] * 333 + [100]
    assert np.array_equal(np.concatenate([b["n"] for b in batches]), np.arange(100_000))
    assert len(list(rel.loader(300, drop_last=True))) == 333
    assert list(con.sql("SELECT 1 AS n WHERE false").loader(5)) == []
    assert list(con.sql("SELECT 1 AS n").loader(5, drop_last=True)) == []


def test_shuffling_keeps_rows_together_and_all_of_them(con):
    rel = con.sql("SELECT n, n * 2 AS m FROM range(10000) AS t(n) ORDER BY n")
    loader = rel.loader(64, shuffle=1000, seed=7)
    first = np.concatenate([b["n"] for b in loader])
    second = np.concatenate([b["n"] for b in loader])
    assert sorted(first) == list(range(10_000)) == sorted(second)
    assert not np.array_equal(first, second), "each epoch has an order of its own"
    assert np.array_equal(
        first, np.concatenate([b["n"] for b in rel.loader(64, shuffle=1000, seed=7)])
    )
    assert all((b["m"] == 2 * b["n"]).all() for b in loader)
    assert first[:64].max() < 1000


def test_vectors_are_matrices_and_a_loop_may_stop(con):
    con.sql("CREATE TABLE v (label BIGINT, e VECTOR(4))")
    con.table("v").append({"label": list(range(50)), "e": [[float(i)] * 4 for i in range(50)]})
    for batch in con.table("v").rel().loader(8):
        assert batch["e"].shape == (8, 4) and batch["e"].dtype == np.float32
        break
    import threading

    assert not [t for t in threading.enumerate() if t.name == "sheafdb-loader"]


def test_errors_reach_the_loop(con):
    rel = con.sql("SELECT 10 / (n - 5) AS x FROM range(10) AS t(n)")
    with pytest.raises(sheafdb.DataError, match="division by zero"):
        list(rel.loader(2))
    with pytest.raises(sheafdb.InterfaceError, match="numpy or torch"):
        rel.loader(2, form="jax")


def test_batches_may_be_larger_than_what_is_mixed(con):
    rel = con.sql("SELECT n FROM range(1000) AS t(n)")
    assert [len(b["n"]) for b in rel.loader(200_000, shuffle=True)] == [1000]
    assert [len(b["n"]) for b in rel.loader(600, shuffle=10)] == [600, 400]


def test_vectors_that_are_null_are_masked(con):
    con.sql("CREATE TABLE v (n BIGINT, e VECTOR(2))")
    con.table("v").append({"n": [1, 2], "e": [[1.0, 2.0], None]})
    (batch,) = con.sql("SELECT * FROM v ORDER BY n").loader(8)
    assert batch["e"].shape == (2, 2) and batch["e"].mask.tolist() == [[False, False], [True, True]]


def test_tensors_are_made_of_arrays_and_never_of_the_engine_s_memory(con):
    torch = pytest.importorskip("torch")
    con.sql("CREATE TABLE v (n BIGINT, x REAL, even BOOLEAN, name TEXT, e VECTOR(3))")
    con.sql(
        "INSERT INTO v SELECT n, CASE WHEN n > 0 THEN n * 0.5 END, n % 2 = 0, 'x', "
        "[n, 2 * n, 3 * n]::VECTOR(3) FROM range(1000) AS t(n)"
    )
    rel = con.sql("SELECT * FROM v ORDER BY n")
    all_rows = rel.torch()
    assert set(all_rows) == {"n", "x", "even", "e"}, "texts are no tensors"
    assert all_rows["e"].shape == (1000, 3) and all_rows["e"].dtype == torch.float32
    assert all_rows["x"][0].isnan() and all_rows["x"][1:].sum() == 0.5 * sum(range(1000))
    all_rows["e"] += 1.0
    assert rel.fetchnumpy()["e"][5].tolist() == [5.0, 10.0, 15.0]
    batches = list(rel.loader(64, shuffle=True, seed=1, form="torch"))
    assert sorted(n for batch in batches for n in batch["n"].tolist()) == list(range(1000))
    weights = torch.zeros(3, requires_grad=True)
    for batch in batches:
        loss = ((batch["e"] @ weights - batch["n"].float()) ** 2).mean()
        loss.backward()
    assert weights.grad is not None and weights.grad.abs().sum() > 0
