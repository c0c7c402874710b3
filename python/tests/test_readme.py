"""The Python blocks of the documentation, as they are printed."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "python/README.md", ROOT / "docs/python.md"]


def blocks():
    for page in PAGES:
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            if "import sheafdb" in code:
                yield pytest.param(page, code, id=f"{page.name}-{code.split(chr(10))[-2][:30]}")


@pytest.mark.parametrize("page, code", list(blocks()))
def test_a_block_runs(page, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {"__name__": "readme"})
