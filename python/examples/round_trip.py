"""The same rows through pandas, polars, DuckDB and Arrow, without files in between."""

import datetime as dt

import duckdb
import pandas as pd
import polars as pl

import sheafdb


def main() -> None:
    con = sheafdb.connect()
    people = pd.DataFrame(
        {
            "name": ["Ada", "Alan", "Grace"],
            "born": pd.to_datetime(["1815-12-10", "1912-06-23", "1906-12-09"]),
            "field": pd.Categorical(["mathematics", "logic", "compilers"]),
        }
    )
    con.sql("CREATE TABLE people AS SELECT name, born, field FROM people")

    frame = con.table("people").lazy().filter(pl.col("born") > dt.datetime(1900, 1, 1)).collect()
    assert frame["name"].to_list() == ["Alan", "Grace"]

    # DuckDB reads a relation as a stream, and is read the same way.
    rel = con.sql("SELECT name, born FROM people")
    by_century = duckdb.sql(
        "SELECT extract(century FROM born) AS century, count(*) AS people FROM rel GROUP BY 1"
    )
    print(con.sql("SELECT * FROM by_century ORDER BY century"))

    frame = frame.with_columns(pl.lit("computing").alias("field"))
    with con.batch() as batch:
        batch.append("people", frame)
    print(
        con.sql("SELECT field, count(*) AS people FROM people GROUP BY field ORDER BY field").df()
    )


if __name__ == "__main__":
    main()
