"""What a backend does besides giving vectors: order, batches, repetition, lengths, windows, case.

Each look is a few requests more, or none; what is compared is told by `LOOKS`. Vectors count as the same if
their relative distance is within the noise of the type that the backend computes in: as the caller or the
server says, else as the numbers show. Where none tells, they count as the same up to the noise of float16 and
as different beyond that of bfloat16; between the two it is not known.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from embaudit.embeddings.comparing import compare_rows
from embaudit.embeddings.measuring import Floats, Matrix, directions, measure, norms
from embaudit.embeddings.probing.backends import Backend, batches, vectors_from
from embaudit.embeddings.probing.texts import CASE_PAIR, CUT_PAIR
from embaudit.embeddings.relating import UNIT_NORM_TOLERANCE
from embaudit.embeddings.rounding import noise_limit
from embaudit.errors import SourceError
from embaudit.model.dtypes import DType
from embaudit.model.probe import COMPUTED_IN, Behaviour, Observation, ServerInfo
from embaudit.values.encodings import Mask
from embaudit.values.rounding import decode, encode

MOST_TOLD_APART = 2048
"""Texts of which every pair is compared: 2 million pairs."""

MOST_ALIKE = 2.0 / 3.0
"""Share of the texts that may have one vector: 15 of the 26 own texts hold characters beyond ASCII, which a
vocabulary may lack altogether. If more have, the vectors do not come from the texts."""

_LOOKED_AT = 16
"""Texts, at least, whose vector is sought among all others, spread evenly: if two thirds have one vector, one
of these has it."""
_SAME_BEGINNING = 512
"""Characters at which texts are cut to tell whether they are alike on purpose."""


@attrs.frozen(kw_only=True, eq=False)
class Scene:
    """What there is to look at.

    Attributes:
        backend: The backend.
        texts: Texts that it takes.
        vectors: One row for each, from batches in this order.
        alone: One row for each, asked for alone.
        noise: The relative distance up to which two vectors count as the same.
        doubt: The distance up to which they may be; `noise` if the type is known.
        alike: Rows that have one vector, if these are too many of the texts; else none.
    """

    backend: Backend
    texts: tuple[str, ...]
    vectors: Matrix
    alone: Matrix
    noise: float
    doubt: float
    alike: tuple[int, ...] = ()

    def ask(self, texts: Sequence[str]) -> Matrix:
        """The vectors of texts, of the length that the others have."""
        return _asked(self.backend, texts, self.vectors.shape[1])


def _asked(backend: Backend, texts: Sequence[str], dimension: int) -> Matrix:
    vectors = vectors_from(backend, texts)
    if vectors.shape[1] != dimension:
        lengths = f"{vectors.shape[1]} numbers, where they had {dimension}"
        raise SourceError(f"{backend.name}: vectors have {lengths}")
    return vectors


def known_dtype(stated: DType | None, server: ServerInfo | None, vectors: Matrix) -> DType | None:
    """The type that a backend computes in: as the caller or its server says, else as its numbers show."""
    said = None if server is None or server.dtype is None else server.dtype.lower()
    told = next((dtype for dtype in COMPUTED_IN if dtype.value == said), None)
    return stated or told or _type_of(vectors.astype(np.float64))


def _type_of(numbers: Floats) -> DType | None:
    """The one half-width type that all of the numbers are of.

    Most numbers of bfloat16 are of float16 as well: it has more digits, and the exponents that vectors need.
    So numbers that are of both may come from either.
    """
    held = [each for each in COMPUTED_IN[1:] if np.array_equal(decode(encode(numbers, each), each), numbers)]
    return held[0] if len(held) == 1 else None


def observe(
    backend: Backend, texts: tuple[str, ...], vectors: Matrix, dtype: DType | None
) -> tuple[Observation, ...]:
    """Every look, in the order of `Behaviour`.

    Args:
        backend: The backend.
        texts: Texts that it takes.
        vectors: One row for each, from batches.
        dtype: The type that it computes in, if that is known.

    Raises:
        SourceError: If an answer is not a usable vector for each text.
    """
    noise, doubt = noise_limit(dtype or DType.FLOAT16), noise_limit(dtype or DType.BFLOAT16)
    scene = Scene(
        backend=backend,
        texts=texts,
        vectors=vectors,
        alone=np.concatenate([_asked(backend, [text], vectors.shape[1]) for text in texts]),
        noise=noise,
        doubt=doubt,
        alike=_alike(texts, vectors, noise),
    )
    return tuple(LOOKS[behaviour](scene) for behaviour in Behaviour)


def _alike(texts: tuple[str, ...], vectors: Matrix, noise: float) -> tuple[int, ...]:
    """The rows that have one vector, if these are more than `MOST_ALIKE` of all and not alike on purpose."""
    for row in range(0, len(texts), max(1, len(texts) // _LOOKED_AT)):
        one = np.broadcast_to(vectors[row], vectors.shape)
        same = np.flatnonzero(measure(one, vectors).distance <= noise).tolist()
        if len(same) > MOST_ALIKE * len(texts):
            return tuple(same) if len({_gist(texts[each]) for each in same}) > 1 else ()
    return ()


def _gist(text: str) -> str:
    """What is left of a text without case, white space and what comes after its beginning."""
    return " ".join(text.casefold().split())[:_SAME_BEGINNING]


def _batches(scene: Scene) -> Observation:
    return _agreement(Behaviour.BATCHES, scene, scene.alone)


def _keeps_order(scene: Scene) -> Observation:
    """Rows that have the vector of another row; a vector that is only wrong is not out of order."""
    if scene.alike:
        return Observation(behaviour=Behaviour.KEEPS_ORDER, holds=None)
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
    return _told(Behaviour.TWINS, measure(twice[::2], twice[1::2]).distance, scene.noise, scene.doubt)


def _normalizes(scene: Scene) -> Observation:
    off = np.abs(norms(scene.vectors) - 1.0)
    return _told(Behaviour.NORMALIZES, off, UNIT_NORM_TOLERANCE, UNIT_NORM_TOLERANCE)


def _truncates(scene: Scene) -> Observation:
    return _pair(Behaviour.TRUNCATES, scene, CUT_PAIR)


def _folds_case(scene: Scene) -> Observation:
    return _pair(Behaviour.FOLDS_CASE, scene, CASE_PAIR)


def _tells_apart(scene: Scene) -> Observation:
    """Every pair of different texts; those that are alike on purpose do not count."""
    if scene.alike:
        return Observation(behaviour=Behaviour.TELLS_APART, holds=False, rows=scene.alike, is_widespread=True)
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
    """Whether two texts of the set have one vector.

    That is not known if the backend does not have both, or if others have that vector as well.
    """
    if not set(pair) <= set(scene.texts):
        return Observation(behaviour=behaviour, holds=None)
    places = [scene.texts.index(text) for text in pair]
    distance = measure(scene.vectors[places[:1]], scene.vectors[places[1:]]).distance
    told = _told(behaviour, distance, scene.noise, scene.doubt)
    if told.holds and _has_others(scene, places):
        return Observation(behaviour=behaviour, holds=None)
    return attrs.evolve(told, rows=() if told.holds else tuple(places))


def _has_others(scene: Scene, places: Sequence[int]) -> bool:
    """Whether texts at other places have the vector of the first of these."""
    one = np.broadcast_to(scene.vectors[places[0]], scene.vectors.shape)
    same = np.flatnonzero(measure(one, scene.vectors).distance <= scene.noise)
    return bool(set(same.tolist()) - set(places))


def _agreement(behaviour: Behaviour, scene: Scene, again: Matrix) -> Observation:
    return _told(behaviour, measure(scene.vectors, again).distance, scene.noise, scene.doubt)


def _told(behaviour: Behaviour, distances: Matrix, limit: float, doubt: float) -> Observation:
    """Whether distances are small: to `limit` they are, beyond `doubt` they are not, else it is not known."""
    wrong: Mask = distances > limit
    worst = float(distances.max())
    return Observation(
        behaviour=behaviour,
        holds=True if worst <= limit else None if worst <= doubt else False,
        worst=worst,
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
