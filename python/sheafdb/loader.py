"""Rows for training loops: batches of arrays, in another order each time, made ahead of use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import InterfaceError
from .results import array_of, batches, needed, tensors

if TYPE_CHECKING:
    from .relation import Relation

#: Rows that are mixed with each other, unless it is said how many.
MIXED = 100_000

Arrays = dict[str, Any]


class Loader:
    """Iterating runs the query, and gives dicts of arrays: one epoch.

    With a seed, epochs are the same in each run where the query has an order.

    >>> import sheafdb
    >>> rows = sheafdb.sql("SELECT n, n % 2 AS label FROM range(10) AS t(n)")
    >>> [len(batch["label"]) for batch in rows.loader(4, shuffle=True, seed=1)]
    [4, 4, 2]
    """

    def __init__(
        self,
        relation: Relation,
        size: int,
        *,
        shuffle: bool | int = False,
        seed: int | None = None,
        drop_last: bool = False,
        prefetch: int = 2,
        form: str = "numpy",
    ) -> None:
        if size < 1 or prefetch < 1:
            raise InterfaceError("a batch has one row at least, and one is made ahead at least")
        if form not in ("numpy", "torch"):
            raise InterfaceError(f"batches are of numpy or torch, not of {form}")
        needed(form)
        self._relation = relation
        self._size = size
        self._mixed = max(MIXED if shuffle is True else int(shuffle), size)
        self._shuffle = bool(shuffle)
        self._random = needed("numpy").random.default_rng(seed)
        self._drop_last = drop_last
        self._prefetch = prefetch
        self._form: Callable[[Arrays], Arrays] = tensors if form == "torch" else dict

    def __iter__(self) -> Iterator[Arrays]:
        ready: queue.Queue[Arrays | BaseException | None] = queue.Queue(self._prefetch)
        stop = threading.Event()

        def put(what: Arrays | BaseException | None) -> bool:
            while not stop.is_set():
                try:
                    ready.put(what, timeout=0.1)
                    return True
                except queue.Full:
                    pass
            return False

        def make() -> None:
            try:
                for batch in self._batches():
                    if not put(self._form(batch)):
                        return
                put(None)
            except BaseException as error:
                put(error)

        thread = threading.Thread(target=make, name="sheafdb-loader", daemon=True)
        thread.start()
        try:
            while (batch := ready.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                yield batch
        finally:
            stop.set()
            thread.join()

    def _batches(self) -> Iterator[Arrays]:
        for rows in self._stretches():
            count = len(next(iter(rows.values())))
            for start in range(0, count, self._size):
                yield {name: array[start : start + self._size] for name, array in rows.items()}

    def _stretches(self) -> Iterator[Arrays]:
        """So many rows at a time as are mixed; all but the last a multiple of a batch."""
        most = self._mixed // self._size * self._size
        waiting: list[Arrays] = []
        count = 0

        def taken(least: int) -> Iterator[Arrays]:
            nonlocal waiting, count
            while count >= max(least, 1):
                all_rows = _joined(waiting)
                cut = min(most, count)
                rows = {name: array[:cut] for name, array in all_rows.items()}
                waiting = [{name: array[cut:] for name, array in all_rows.items()}]
                count -= cut
                if self._shuffle:
                    order = self._random.permutation(cut)
                    rows = {name: array[order] for name, array in rows.items()}
                yield rows

        for batch in batches(self._relation):
            if not batch.names:
                raise InterfaceError("a relation without columns has nothing to train with")
            waiting.append({name: array_of(batch, i) for i, name in enumerate(batch.names)})
            count += len(batch)
            yield from taken(most)
        if self._drop_last:
            most = count // self._size * self._size
            if most == 0:
                return
            count = min(count, most)
            waiting = [{name: array[:count] for name, array in _joined(waiting).items()}]
        yield from taken(1)


def _joined(parts: list[Arrays]) -> Arrays:
    """The rows of all parts, one after the other."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    joined = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        masked = any(isinstance(array, np.ma.MaskedArray) for array in arrays)
        concatenate: Any = np.ma.concatenate if masked else np.concatenate
        joined[name] = concatenate(arrays)
    return joined
