"""Prints the text of the 99 TPC-DS queries as a JSON array.

They come with DuckDB's extension, from a package: nothing is loaded from elsewhere.
"""

import json

import duckdb
import duckdb_extensions

duckdb_extensions.import_extension("tpcds")
connection = duckdb.connect()
connection.execute("LOAD tpcds")
rows = connection.execute("SELECT query FROM tpcds_queries() ORDER BY query_nr").fetchall()
print(json.dumps([query for (query,) in rows]))
