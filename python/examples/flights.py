"""A year of flights from New York: loaded, asked, changed row by row, and drawn.

python flights.py [flights.parquet] [delays.png]
"""

import pathlib
import sys
import tempfile

import sheafdb

DATA = pathlib.Path(__file__).parents[2] / "cli/data/nycflights13/flights.parquet"


def main(flights: str, picture: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder, sheafdb.connect(f"{folder}/flights.db") as con:
        con.read_parquet(flights).create("flights")
        print(con.sql("SELECT count(*) AS flights, min(time_hour), max(time_hour) FROM flights"))

        delays = con.sql(
            "SELECT month, origin, avg(dep_delay) AS minutes FROM flights "
            "WHERE dep_delay IS NOT NULL GROUP BY month, origin"
        )
        print(delays.order("minutes DESC").limit(5))

        con.sql("CREATE TABLE notes (flight INTEGER PRIMARY KEY, note TEXT)")
        notes = con.table("notes")
        notes.upsert([{"flight": 1545, "note": "always late"}, {"flight": 11, "note": "new"}])
        notes.upsert({"flight": [11], "note": ["seen once more"]})
        print(
            con.sql(
                "SELECT n.flight, n.note, count(*) AS flown FROM notes n JOIN flights f "
                "ON f.flight = n.flight GROUP BY n.flight, n.note ORDER BY n.flight"
            )
        )

        if picture:
            by_month = delays.aggregate("avg(minutes) AS minutes", by="month").order("month")
            by_month.plot(kind="bar").figure.savefig(picture)


if __name__ == "__main__":
    main(*(sys.argv[1:] or [str(DATA)]))
