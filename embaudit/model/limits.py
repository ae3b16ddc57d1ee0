"""Every resource limit, in one frozen record: what it bounds, its unit, and why it has its value."""

import attrs

from embaudit.errors import UsageError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@attrs.frozen(kw_only=True)
class Limits:
    """How much embaudit is willing to read, hold and follow before it says `LimitError`.

    Attributes:
        files: Entries of one repository listing. The largest model repositories hold a few thousand.
        folder_depth: Folders inside folders of one repository.
        json_bytes: Bytes of one JSON document. The largest shard index in the wild has about 9 MB, tokenizers
            up to about 40 MB.
        settings_bytes: Bytes of one settings file of the declaration. The largest, tokenizer settings with
            thousands of added tokens, have about 1 MB.
        json_depth: Arrays and objects inside one another, in JSON documents other than safetensors headers.
        safetensors_header_bytes: Bytes of one safetensors header. The format allows 100,000,000; 25 MB are
            about 200,000 tensors, and the same bound that huggingface_hub applies.
        zip_directory_bytes: Bytes of a zip's central directory: 16 MiB are about 200,000 storages.
        pickle_bytes: Bytes of one pickle stream inside a checkpoint.
        pickle_opcodes: Opcodes that one stream may hold. A tensor takes about 40, so these are 50,000 tensors
            in one file; and each opcode of a hostile stream can cost about 200 bytes, 400 MB in all.
        pickle_memo: Entries that one stream may remember. A tensor takes about 7, so that the opcodes of a
            checkpoint run out first; a hostile stream may store with every one.
        pickle_depth: Containers inside one another when the result is walked.
        pickle_integer_bytes: Bytes of one LONG. torch writes at most 9 (sizes) or 10 (its magic number).
        tensors: Tensors of one checkpoint file.
        name_bytes: Bytes of one name or string inside a header.
        shards: Files that one shard index may name.
        git_output_bytes: Bytes that one git command may print.
        git_blob_bytes: Bytes of one blob of a clone that may be unpacked to a temporary file, since git
            cannot read a part of a compressed object.
        requests: Requests of one hub snapshot, redirects and repeats included. The largest repositories have
            200 shards of two requests each; sampled values of 1,000 tensors take a few thousand.
        received_bytes: Bytes that one hub snapshot may take off the network. Headers take kilobytes; 16 GiB
            are a model of 8 billion parameters read at depth full.
        kept_bytes: Bytes of a hub snapshot that are kept in memory for reads to come.
        commits: Commits of a hub history that are listed to tell how two of them lie to one another.
        work_bytes: Bytes of tensor data held at once while values are compared, over all threads.
        repeated_bytes: Bytes of tensor values read in one call beyond the bytes of the files that hold them,
            because tensors are expanded, overlap or share storage. A checkpoint that names a tied embedding
            of 10 GB twice stays below; a hostile kilobyte that expands to exabytes doesn't.
    """

    files: int = 100_000
    folder_depth: int = 64
    json_bytes: int = 64 * MIB
    settings_bytes: int = 4 * MIB
    json_depth: int = 128
    safetensors_header_bytes: int = 25_000_000
    zip_directory_bytes: int = 16 * MIB
    pickle_bytes: int = 64 * MIB
    pickle_opcodes: int = 2_000_000
    pickle_memo: int = 1_000_000
    pickle_depth: int = 64
    pickle_integer_bytes: int = 256
    tensors: int = 500_000
    name_bytes: int = 64 * KIB
    shards: int = 10_000
    git_output_bytes: int = 256 * MIB
    git_blob_bytes: int = 8 * GIB
    requests: int = 20_000
    received_bytes: int = 16 * GIB
    kept_bytes: int = 64 * MIB
    commits: int = 10_000
    work_bytes: int = 16 * MIB
    repeated_bytes: int = 16 * GIB

    def __attrs_post_init__(self) -> None:
        """Refuse what is no limit.

        Raises:
            UsageError: If a field is not a whole number from 0 on.
        """
        for field in attrs.fields(Limits):
            value = getattr(self, field.name)
            if type(value) is not int or value < 0:
                raise UsageError(f"the limit {field.name} is {value!r}; it must be a whole number from 0 on")


DEFAULT_LIMITS = Limits()
"""The limits that hold where the caller names none."""
