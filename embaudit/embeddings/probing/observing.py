"""What a backend does besides giving vectors: order, batches, repetition, lengths, windows, case.

Each look is a few requests more, or none; what is compared is told by `LOOKS`. Vectors count as the same if
their relative distance is within the noise of the type that the backend computes in: as its server says, else
as its numbers show, else float16, the widest noise that is not yet a fault of anybody.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from embaudit.embeddings.comparing import compare_rows
from embaudit.embeddings.measuring import Matrix, directions, measure, norms
from embaudit.embeddings.probing.backends import Backend, batches, vectors_from
from embaudit.embeddings.probing.texts import CASE_PAIR, CUT_PAIR
from embaudit.embeddings.relating import UNIT_NORM_TOLERANCE
from embaudit.embeddings.rounding import noise_limit, type_of_numbers
from embaudit.errors import SourceError
from embaudit.model.dtypes import DType
from embaudit.model.probe import Behaviour, Observation, ServerInfo
from embaudit.values.encodings import Mask

MOST_TOLD_APART = 2048
"""Texts of which every pair is compared: 2 million pairs."""

_DTYPES: Mapping[str, DType] = {
    "float32": DType.FLOAT32,
    "float16": DType.FLOAT16,
    "bfloat16": DType.BFLOAT16,
}


@attrs.frozen(kw_only=True, eq=False)
class Scene:
    """What there is to look at.

    Attributes:
        backend: The backend.
        texts: Texts that it takes.
        vectors: One row for each, from batches in this order.
        alone: One row for each, asked for alone.
        noise: The relative distance up to which two vectors count as the same.
    """

    backend: Backend
    texts: tuple[str, ...]
    vectors: Matrix
    alone: Matrix
    noise: float

    def ask(self, texts: Sequence[str]) -> Matrix:
        """The vectors of texts, of the length that the others have."""
        return _asked(self.backend, texts, self.vectors.shape[1])


def _asked(backend: Backend, texts: Sequence[str], dimension: int) -> Matrix:
    vectors = vectors_from(backend, texts)
    if vectors.shape[1] != dimension:
        lengths = f"{vectors.shape[1]} numbers, where they had {dimension}"
        raise SourceError(f"{backend.name}: vectors have {lengths}")
    return vectors


def known_dtype(server: ServerInfo | None, vectors: Matrix) -> DType | None:
    """The type that a backend computes in: as its server says, else as its numbers show; else None."""
    said = None if server is None or server.dtype is None else _DTYPES.get(server.dtype.lower())
    return said or type_of_numbers(vectors.astype(np.float64))


def observe(backend: Backend, texts: tuple[str, ...], vectors: Matrix) -> tuple[Observation, ...]:
    """Every look, in the order of `Behaviour`.

    Raises:
        SourceError: If an answer is not a usable vector for each text.
    """
    dtype = known_dtype(backend.info, vectors) or DType.FLOAT16
    alone = np.concatenate([_asked(backend, [text], vectors.shape[1]) for text in texts])
    scene = Scene(backend=backend, texts=texts, vectors=vectors, alone=alone, noise=noise_limit(dtype))
    return tuple(LOOKS[behaviour](scene) for behaviour in Behaviour)


def _batches(scene: Scene) -> Observation:
    return _agreement(Behaviour.BATCHES, scene, scene.alone)


def _keeps_order(scene: Scene) -> Observation:
    """Rows that have the vector of another row; a vector that is only wrong is not out of order."""
    backwards = scene.ask(scene.texts[::-1])[::-1]
    orders = [compare_rows(scene.alone, rows).permutation for rows in (scene.vectors, backwards)]
    moved = {at for order in orders if order is not None for at, row in enumerate(order) if at != row}
    return Observation(behaviour=Behaviour.KEEPS_ORDER, holds=not moved, rows=tuple(sorted(moved)))


def _repeats(scene: Scene) -> Observation:
    return _agreement(Behaviour.REPEATS, scene, scene.ask(scene.texts))


def _twins(scene: Scene) -> Observation:
    """Each text twice in a row, in batches of an even number, so that twins are in one batch."""
    if scene.backend.batch == 1:
        return Observation(behaviour=Behaviour.TWINS, holds=None)
    texts = tuple(text for text in scene.texts for _ in range(2))
    even = scene.backend.batch - scene.backend.batch % 2
    twice = np.concatenate([scene.ask(batch) for batch in batches(texts, even)])
    return _told(Behaviour.TWINS, measure(twice[::2], twice[1::2]).distance, scene.noise)


def _normalizes(scene: Scene) -> Observation:
    off = np.abs(norms(scene.vectors) - 1.0)
    return _told(Behaviour.NORMALIZES, off, UNIT_NORM_TOLERANCE)


def _truncates(scene: Scene) -> Observation:
    return _pair(Behaviour.TRUNCATES, scene, CUT_PAIR)


def _folds_case(scene: Scene) -> Observation:
    return _pair(Behaviour.FOLDS_CASE, scene, CASE_PAIR)


def _tells_apart(scene: Scene) -> Observation:
    """Every pair of different texts; those that are alike on purpose do not count."""
    if not 1 < len(scene.texts) <= MOST_TOLD_APART:
        return Observation(behaviour=Behaviour.TELLS_APART, holds=None)
    nearest = _nearest(scene)
    rows = np.flatnonzero(nearest <= scene.noise)
    return Observation(behaviour=Behaviour.TELLS_APART, holds=not len(rows), rows=tuple(rows.tolist()))


def _nearest(scene: Scene) -> Matrix:
    """How far the direction of each text is from the nearest of another text."""
    rows = directions(scene.vectors)
    cosines = np.clip(rows @ rows.T, -1.0, 1.0)
    np.fill_diagonal(cosines, -1.0)
    for one, other in (CASE_PAIR, CUT_PAIR):
        if one in scene.texts and other in scene.texts:
            places = scene.texts.index(one), scene.texts.index(other)
            cosines[places], cosines[places[::-1]] = -1.0, -1.0
    nearest: Matrix = np.sqrt(2.0 - 2.0 * cosines.max(axis=1))
    return nearest


def _pair(behaviour: Behaviour, scene: Scene, pair: tuple[str, str]) -> Observation:
    """Whether two texts of the set have one vector; unknown if the backend has not both."""
    if not set(pair) <= set(scene.texts):
        return Observation(behaviour=behaviour, holds=None)
    places = [scene.texts.index(text) for text in pair]
    distance = measure(scene.vectors[places[:1]], scene.vectors[places[1:]]).distance
    told = _told(behaviour, distance, scene.noise)
    return attrs.evolve(told, rows=() if told.holds else tuple(places))


def _agreement(behaviour: Behaviour, scene: Scene, again: Matrix) -> Observation:
    return _told(behaviour, measure(scene.vectors, again).distance, scene.noise)


def _told(behaviour: Behaviour, distances: Matrix, limit: float) -> Observation:
    wrong: Mask = distances > limit
    return Observation(
        behaviour=behaviour,
        holds=not bool(wrong.any()),
        worst=float(distances.max()),
        rows=tuple(np.flatnonzero(wrong).tolist()),
    )


LOOKS: Mapping[Behaviour, Callable[[Scene], Observation]] = {
    Behaviour.BATCHES: _batches,
    Behaviour.KEEPS_ORDER: _keeps_order,
    Behaviour.REPEATS: _repeats,
    Behaviour.TWINS: _twins,
    Behaviour.NORMALIZES: _normalizes,
    Behaviour.TRUNCATES: _truncates,
    Behaviour.FOLDS_CASE: _folds_case,
    Behaviour.TELLS_APART: _tells_apart,
}
"""How each behaviour is looked at."""
