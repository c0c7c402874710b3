"""A classifier that learns from a table of vectors, in batches, and writes its answers back."""

import numpy as np

import sheafdb

DIMENSIONS = 8
ROWS = 5_000


def points(random: np.random.Generator) -> dict[str, object]:
    """Points of two kinds, around two centres."""
    labels = random.integers(0, 2, ROWS)
    vectors = random.normal(labels[:, None] * 1.5, 1.0, (ROWS, DIMENSIONS)).astype("float32")
    return {"id": np.arange(ROWS), "label": labels, "vector": vectors}


def main(epochs: int = 3) -> float:
    con = sheafdb.connect()
    con.sql(
        f"CREATE TABLE points (id BIGINT PRIMARY KEY, label INTEGER, vector VECTOR({DIMENSIONS}))"
    )
    con.table("points").append(points(np.random.default_rng(1)))

    training = con.sql("SELECT label, vector FROM points WHERE id % 5 <> 0 ORDER BY id")
    weights, bias = np.zeros(DIMENSIONS, dtype="float32"), 0.0
    for epoch in range(epochs):
        loss = []
        for batch in training.loader(64, shuffle=True, seed=epoch):
            guess = 1 / (1 + np.exp(-(batch["vector"] @ weights + bias)))
            error = guess - batch["label"]
            weights -= 0.1 * (error[:, None] * batch["vector"]).mean(axis=0)
            bias -= 0.1 * error.mean()
            loss.append(np.abs(error).mean())
        print(f"epoch {epoch}: {np.mean(loss):.3f}")

    test = con.sql("SELECT id, label, vector FROM points WHERE id % 5 = 0").fetchnumpy()
    guess = test["vector"] @ weights + bias > 0
    con.sql("CREATE TABLE guesses (id BIGINT PRIMARY KEY, guess INTEGER)")
    con.table("guesses").append({"id": test["id"], "guess": guess.astype("int32")})
    right = con.sql("SELECT avg((label = guess)::INTEGER) FROM points JOIN guesses USING (id)")
    (share,) = right.fetchall()[0]
    print(f"{share:.0%} of the points that it had not seen are right")
    return float(share)


if __name__ == "__main__":
    assert main() > 0.9
