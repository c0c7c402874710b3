"""The Flight block of README.md, as it is printed."""

import pathlib
import re

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_block_of_the_readme_runs(server):
    section = README.read_text().split("## Flight SQL")[1]
    code = re.search(r"```python\n(.*?)```", section, re.S).group(1)
    exec(compile(code.replace("grpc://127.0.0.1:32010", server.uri), str(README), "exec"), {})
