"""Vectors that people have: compared, asked for, and explained.

    expected, observed --compare_embeddings--> EmbeddingComparison    how they lie to one another
    a backend          --probe---------------> Probe                  what it makes of a fixed set of texts
    golden, current    --compare_probes------> ProbeDrift             which texts have another vector now
    target, observed   --diagnose------------> Diagnosis              what was done otherwise

This stage knows vectors, and the backends that make them. numpy comes in when it is first used, and torch and
transformers never do, except where a diagnosis runs a model.
"""

import os
from collections.abc import Sequence
from typing import Any

from embaudit.embeddings.diagnosing import diagnose
from embaudit.embeddings.probing.texts import PROBE_TEXTS, PROBE_TEXTS_VERSION
from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.probe import Probe, ProbeDrift, ServerCheck, ServerInfo

__all__ = [
    "PROBE_TEXTS",
    "PROBE_TEXTS_VERSION",
    "check_server",
    "compare_embeddings",
    "compare_probes",
    "diagnose",
    "load_probe",
    "probe",
    "save_probe",
]


def compare_embeddings(
    expected: Any, observed: Any, *, limits: Limits = DEFAULT_LIMITS
) -> EmbeddingComparison:
    """How two sets of vectors of the same texts lie to one another; see `embaudit.embeddings.comparing`.

    Files of `.npy` and `.safetensors` are mapped, and everything is computed in float64 in blocks of 8 MiB,
    so that beside the result, about 250 bytes a row, memory does not grow with the vectors. An `.npz`, which
    must be unpacked, a tensor of a type that numpy does not have, and JSON are held in memory as a whole: up
    to 512 MiB each, and while a JSON document that is not plain arrays of arrays is read, 20 times its size.

    Args:
        expected: The vectors as they should be: a numpy array or torch tensor of shape `(rows, dimension)`,
            nested lists, a list of vectors, or the path of a file (`.npy`, `.npz` of one array,
            `.safetensors` of one tensor, `.json`, `.jsonl`). A single vector is one row.
        observed: The vectors to hold against them, likewise.
        limits: `json_bytes` bounds a `.json` file, `zip_directory_bytes` the directory of an `.npz`, and
            `safetensors_header_bytes` a header.

    Raises:
        UsageError: If the arguments are no vectors, hold NaN, infinities or rows of zeros, or do not have
            the same number of rows.
        FormatError: The same of a file; says where.
        TargetError: If a file does not exist, or is no regular file.
        LimitError: If a file is larger than its limit.
    """
    from embaudit.embeddings.comparing import compare  # noqa: PLC0415 - numpy on demand only

    return compare(expected, observed, limits)


def probe(
    backend: Any,
    texts: Sequence[str] = PROBE_TEXTS,
    *,
    observe: bool = True,
    api_key: str | None = None,
    timeout: float | None = None,
    dtype: str | None = None,
) -> Probe:
    """What a backend makes of some texts, and how it behaves.

    Args:
        backend: A function of a list of texts that gives a vector for each; an object with such a method
            `encode`, as a SentenceTransformer is; or the address of a server: `tei+http://host:port`,
            `openai+http://host:port/v1?model=NAME`, or plain `http://host:port`, which is asked what it is.
        texts: Different texts; by default `PROBE_TEXTS`, a fixed set in many languages.
        observe: Whether to look at order, batches, repetition and the like, which asks for every text five
            times more, once alone.
        api_key: Sent to a server as `Authorization: Bearer`. It is in no message and no value, even where the
            server repeats it.
        timeout: Seconds that one request to a server may take; by default
            `embaudit.embeddings.probing.asking.SERVER_PATIENCE`.
        dtype: The type that the backend computes in: `float32`, `float16` or `bfloat16`. By default what its
            server says, else what its numbers show. If neither tells, what may be noise of bfloat16 and is
            beyond that of float16 is neither a fault nor none: `Observation.holds` is None.

    Raises:
        UsageError: If the backend, the texts or another argument are none.
        SourceError: If the backend fails, refuses every text, or gives no usable vector for each: of another
            number or length, with NaN, or all zeros. `UnavailableError` if a server does not answer in time.
        FormatError: If a server answers with something else than its protocol says.
    """
    from embaudit.embeddings.probing.probing import run_probe  # noqa: PLC0415 - numpy on demand only

    return run_probe(backend, texts, observing=observe, api_key=api_key, seconds=timeout, dtype=dtype)


def save_probe(probe: Probe, path: str | os.PathLike[str]) -> None:
    """Keep a probe in a `.safetensors` file: the vectors as tensor `vectors`, the rest as metadata.

    Raises:
        UsageError: If the arguments are no probe and no path.
        TargetError: If the file cannot be written.
    """
    from embaudit.embeddings.probing.keeping import save  # noqa: PLC0415 - numpy on demand only

    save(probe, path)


def load_probe(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Probe:
    """The probe that `save_probe` kept; nothing is unpickled.

    Raises:
        UsageError: If the path is none.
        TargetError: If there is no such file.
        FormatError: If it holds no probe; says where.
        LimitError: If it is larger than the limits allow.
    """
    from embaudit.embeddings.probing.keeping import load  # noqa: PLC0415 - numpy on demand only

    return load(path, limits)


def compare_probes(golden: Probe, current: Probe, *, tolerance: float | None = None) -> ProbeDrift:
    """Which texts have another vector than they had, and by how much.

    Args:
        golden: The earlier probe.
        current: The later one.
        tolerance: The relative L2 distance up to which a vector is the same; by default the noise of the type
            that the golden backend computed in, or of float32 if that is not known.

    Raises:
        UsageError: If the probes are none or share no text, or the tolerance is no number of 0 or more.
    """
    from embaudit.embeddings.probing.drifting import drift  # noqa: PLC0415 - numpy on demand only

    return drift(golden, current, tolerance)


def check_server(
    info: ServerInfo | None, snapshot: Snapshot | None = None, *, pipeline: EmbeddingPipeline | None = None
) -> ServerCheck:
    """What a server says of itself, held against the repository that it should serve.

    It compares words and proves nothing: a server may say what it likes. Whether its vectors are those of the
    repository is for `compare_probes` and `diagnose` to tell.

    Args:
        info: What the server says: `Probe.server`. None says nothing, so that nothing is compared.
        snapshot: The repository at the commit that should be served: its names and its commit.
        pipeline: The pipeline that the repository declares, or that a loader was predicted to make of it:
            its pooling and the length at which it cuts texts.

    Returns:
        Which fields were compared, which of them are otherwise, and why the others were not compared.
        Without any that were compared nothing is known, and `ServerCheck.agrees` is None.
    """
    from embaudit.embeddings.probing.checking import check  # noqa: PLC0415 - as the others

    return check(info, snapshot, pipeline)
