"""Tensor values straight from the files: compared, scanned and digested, a block at a time.

Nothing here ever holds a tensor: values are read through a `Reader` in blocks, by a few threads that together
hold at most `Limits.work_bytes` of data. numpy is imported when a value is first looked at, torch never. This
stage knows what bytes mean as numbers; it knows nothing of names, files' formats or models.

How two tensors of one shape compare
------------------------------------
They compare by *logical value*: element by element in C order, whatever the stride, storage offset, byte
order, sharding and file format on either side.

`identical`
    One dtype and the same bits everywhere. NaN payloads and the sign of zero are bits like any others.
`identical-after-cast`
    Two dtypes, and casting the wider values to the narrower type, as torch rounds, gives the narrower ones
    exactly: to nearest, ties to even, overflow to infinity (`float8_e4m3fn` has none: clamped to 448 or
    NaN, torch has done both), zeros keep their sign, and any NaN counts as any other. Integers, booleans
    and mixtures of kinds must be equal numbers; nothing is rounded. With one dtype: one side is the other
    rounded through a narrower type and back, `float32 -> float16 -> float32`, and differences are *many*.
`close`
    Differences are *many*, and either only signs of zero and NaN payloads differ, or none is larger than
    a tolerance of the narrower type: `|left - right| <= t * (m + mean)`, where `t` is
    `tally.RELATIVE_TOLERANCE` (1.3e-6 for float32, 1e-3 for float16, 1.6e-2 for bfloat16), `m` the larger
    magnitude of the two, and `mean` the average of `m` over all differing elements. The second term
    forgives values near zero the rounding noise of their neighbours.
`different`
    Everything else: NaN or infinity against another value, one damaged bit, another model.

*Many* means at least two elements and at least one in sixteen (of those looked at). Rounding and
recomputing change nearly every element of a tensor; damage and tampering change few. So a single flipped
bit is always `different`, however small the change, be it the sign of a zero; and one training step with
a learning rate of 1e-6 is `different` too, since it moves weights of usual size by far more than the
tolerance. There is no absolute tolerance: some tensors are that small throughout.

Complex numbers compare by their parts, with the rules of the parts' type. Packed, sub-byte and quantised
types compare by bits with their own type, where bits that differ are `different`, and are `not-compared`
with any other: their numbers are not in their bits alone. So are complex with real types. Empty tensors are
`identical`.

`max_abs_diff` and `max_rel_diff` range over elements that are finite on both sides, computed in float64
(between 64-bit integers exactly before rounding). At depth `sampled` everything is said of three blocks of
up to 2 KiB, at the head, in the middle and at the tail; `identical-in-sample` may name a cast, and a tensor
of up to three blocks is compared in full, and said to be. A `FarReader` is told of all blocks beforehand,
those of a few hundred pairs at a time, so that neighbours travel in one request.
"""

from collections.abc import Callable, Sequence

from embaudit.errors import EmbauditError
from embaudit.model.files import Reader
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.tensor_map import Comparison, Depth
from embaudit.model.tensors import TensorInfo
from embaudit.model.values import ValueScan
from embaudit.values.digesting import FileDigests, FileJob, TensorJob, digest_jobs
from embaudit.values.file_digests import git_sha1_of, sha256_of

__all__ = [
    "FileDigests",
    "FileJob",
    "TensorJob",
    "compare_many",
    "compare_tensors",
    "digest_many",
    "file_digest",
    "git_blob_sha1",
    "scan_many",
    "scan_tensor",
    "tensor_digest",
]

_Pair = tuple[TensorInfo, Reader, TensorInfo, Reader]


def compare_tensors(
    left: TensorInfo,
    left_reader: Reader,
    right: TensorInfo,
    right_reader: Reader,
    *,
    depth: Depth = Depth.FULL,
    limits: Limits = DEFAULT_LIMITS,
) -> Comparison:
    """How the values of two tensors of one shape compare, by the rules of this module.

    Raises:
        FormatError: If a tensor's byte span does not follow from its shape and stride.
        LimitError: If both tensors expand to far more values than their files hold bytes
            (`Limits.repeated_bytes`), or `Limits.work_bytes` leaves no room for a block.
        SourceError: If bytes cannot be read.
        ValueError: If the shapes differ: a mistake of the caller, who pairs tensors, not of the input.
    """
    (comparison,) = compare_many([(left, left_reader, right, right_reader)], depth=depth, limits=limits)
    return comparison


def compare_many(
    jobs: Sequence[_Pair],
    *,
    depth: Depth = Depth.FULL,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Comparison, ...]:
    """Compare many pairs at once, in threads; large tensors are shared between them.

    Results do not depend on the number of threads. Pairs of the same bytes on both sides, as tied names make
    them, are read once. Contiguous tensors are read byte for byte once, in order, and nothing beside them.

    Args:
        jobs: Pairs of tensors of one shape: left, its reader, right, its reader.
        depth: At `headers` nothing is read and everything is `not-compared`.
        limits: `work_bytes` bounds the memory of all threads together, `repeated_bytes` the repetition.
        workers: Threads at most; by default one for each processor, up to eight. `work_bytes` allows one for
            each 4 MiB.
        progress: Called from any thread with the bytes done since the last call. All calls add up to the
            `n_bytes` of all tensors that are compared and not empty.

    Returns:
        One comparison for each pair, in the order of `jobs`.

    Raises:
        FormatError: See `compare_tensors`; the first pair that fails decides.
        LimitError: See `compare_tensors`.
        SourceError: See `compare_tensors`.
        ValueError: See `compare_tensors`.
    """
    from embaudit.values.engine import compare_jobs  # noqa: PLC0415 - numpy on demand only

    return compare_jobs(jobs, depth, limits, workers, progress)


def scan_tensor(tensor: TensorInfo, reader: Reader, *, limits: Limits = DEFAULT_LIMITS) -> ValueScan:
    """How many elements of a tensor are NaN or infinite, and where the first ones are.

    Raises:
        FormatError: If the tensor's byte span does not follow from its shape and stride.
        LimitError: If it expands to far more values than its file holds bytes.
        SourceError: If its bytes cannot be read.
    """
    (scan,) = scan_many([(tensor, reader)], limits=limits)
    return scan


def scan_many(
    tensors: Sequence[tuple[TensorInfo, Reader]],
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[ValueScan, ...]:
    """Scan many tensors at once, in threads. Types that hold neither NaN nor infinity are not read.

    Args:
        tensors: Tensors and their readers.
        limits: See `compare_many`.
        workers: See `compare_many`.
        progress: Called from any thread with the bytes done since the last call.

    Returns:
        One scan for each tensor, in order.

    Raises:
        FormatError: See `scan_tensor`.
        LimitError: See `scan_tensor`.
        SourceError: See `scan_tensor`.
    """
    from embaudit.values.engine import scan_jobs  # noqa: PLC0415 - numpy on demand only

    return scan_jobs(tensors, limits, workers, progress)


def tensor_digest(tensor: TensorInfo, reader: Reader, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """A digest of what a tensor holds, the same for every file, format, stride and byte order that holds it.

    It is the SHA-256, in hexadecimal, of one line of ASCII and the values after it. The line is the dtype,
    the sizes joined by commas in square brackets, and a newline: `float32[30522,384]` or, for a scalar,
    `float32[]`. The values are the elements' bytes in C order, little-endian, without gaps; sub-byte types
    as they are packed. So two tensors have one digest exactly if they have one dtype, one shape and the
    same bits.

    Raises:
        FormatError: If the tensor's byte span does not follow from its shape and stride.
        LimitError: If it expands to far more values than its file holds bytes.
        SourceError: If its bytes cannot be read.
    """
    from embaudit.values.tensor_digests import digest_tensor  # noqa: PLC0415 - numpy on demand only

    return digest_tensor(tensor, reader, limits)


def file_digest(reader: Reader, path: str, size: int) -> str:
    """The SHA-256 of the first `size` bytes of a file, in hexadecimal: the name of an LFS object.

    Raises:
        SourceError: If the bytes cannot be read.
    """
    return sha256_of(reader, path, size)


def git_blob_sha1(reader: Reader, path: str, size: int) -> str:
    """The id that git gives to a file of `size` bytes as a blob, in hexadecimal.

    It is the SHA-1 of `blob`, a space, the size in decimal, a zero byte, and the content
    (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects).

    Raises:
        SourceError: If the bytes cannot be read.
    """
    return git_sha1_of(reader, path, size)


def digest_many(
    files: Sequence[FileJob],
    tensors: Sequence[TensorJob],
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[tuple[FileDigests | EmbauditError, ...], tuple[str | EmbauditError, ...]]:
    """The digests of many files and tensors, in threads; see `file_digest`, `git_blob_sha1`, `tensor_digest`.

    A thread holds a block or two, never a file. Tensors of the same bytes, as tied names make them, are
    digested once. An interrupt ends all threads within a block.

    Args:
        files: The files.
        tensors: The tensors.
        limits: `repeated_bytes` bounds what the tensors together may hold beyond the bytes of their files.
        workers: Threads at most; by default one for each processor, up to eight.
        progress: Called from any thread with the bytes digested since the last call.

    Returns:
        One result for each file and for each tensor, in order: the digest, or why there is none.

    Raises:
        UnavailableError: If a source does not answer; `BudgetError` and `RefusedError` likewise.
    """
    return digest_jobs(files, tensors, limits, workers, progress)
