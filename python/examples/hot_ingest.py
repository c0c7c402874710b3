"""Threads that add rows while another asks: every answer is of one moment, none waits."""

import random
import threading
import time

import sheafdb

WRITERS = 4


def write(con: sheafdb.Connection, sensor: int, until: float) -> None:
    # A session of its own, so that threads commit side by side.
    with con.duplicate() as own, own.appender("readings", ["sensor", "n", "value"]) as rows:
        n = 0
        while time.monotonic() < until:
            for _ in range(1000):
                rows.append(sensor, n, random.random())
                n += 1
            rows.flush()


def main(seconds: float = 3.0) -> None:
    with sheafdb.connect(durability="interval") as con:
        con.sql(
            "CREATE TABLE readings (sensor INTEGER, n BIGINT, value DOUBLE PRECISION, "
            "PRIMARY KEY (sensor, n))"
        )
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=write, args=(con, sensor, until)) for sensor in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            rows, last, mean = con.execute(
                "SELECT count(*), count(DISTINCT sensor), avg(value) FROM readings"
            ).fetchall()[0]
            print(f"{rows:>9,} rows of {last} sensors, mean {mean or 0:.3f}")
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        # What one moment sees is whole: each sensor's numbers have no gap.
        gaps = con.sql("SELECT sensor FROM readings GROUP BY sensor HAVING count(*) <> max(n) + 1")
        assert gaps.fetchall() == []


if __name__ == "__main__":
    main()
