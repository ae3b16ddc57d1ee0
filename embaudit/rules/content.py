"""EMB130 to EMB149: what is in a checkpoint, and files that could not be read."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import UnreadableFile, ValueScans, WeightFiles
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.words import plural
from embaudit.rules.evidence import MAX_LISTED, be, listed, some
from embaudit.rules.formats import has_safetensors
from embaudit.rules.registry import rule

_LAYER_LISTS = {"layer", "layers", "h", "block", "blocks", "resblocks", "experts"}
"""The names that architectures give to the list of their layers. Other numbered modules (`nn.Sequential`)
skip numbers by design, wherever a step has no parameters."""

_MIN_LAYERS = 3
"""Below that, a majority says nothing."""

_NEWEST_LOADABLE_PROTOCOL = 3
"""What `torch.load(weights_only=True)` of torch 2.13 still reads."""

_MAX_LACKING = 4
"""One layer in so many may lack a tensor before that counts as the architecture's design."""


@attrs.frozen(kw_only=True)
class _LayerList:
    """One list of layers: its prefix with the trailing dot, and the suffixes that each numbered layer has."""

    prefix: str
    suffixes: dict[int, set[str]]


def _layer_lists(names: Iterable[str]) -> Iterator[_LayerList]:
    lists: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        for match in re.finditer(r"(?<=\.)(?P<number>\d{1,6})\.", name):
            prefix = name[: match.start()]
            if prefix.rstrip(".").rpartition(".")[2] in _LAYER_LISTS:
                lists[prefix][int(match["number"])].add(name[match.end() :])
    for prefix, suffixes in lists.items():
        if len(suffixes) >= _MIN_LAYERS:
            yield _LayerList(prefix=prefix, suffixes=suffixes)


@rule("EMB130", Severity.ERROR)
def layer_has_gaps(checkpoint: Checkpoint) -> Iterator[Observation]:
    """A layer lacks a tensor that its siblings have.

    Loaders start that parameter at random values. A number that is missing from a list of layers counts, and
    so does a tensor that nearly all layers of a list have (at least three in four). Not reported: a whole
    module that only the first or last layer lacks, or that a layer replaces by another; architectures do that
    by design (ModernBERT's first layer has no `attn_norm`, Swin's last has no `downsample`, mixtures of
    experts begin with dense layers).
    """
    for layers in _layer_lists(checkpoint.tensors):
        lacking = tuple(_lacking(layers))
        if lacking:
            yield Observation(
                message=(
                    f"{plural(len(lacking), 'tensor')} {be(len(lacking))} missing from a list of layers:"
                    f" {some(lacking)}."
                ),
                where=Where(path=checkpoint.name, tensor=lacking[0]),
                evidence={
                    "layers": layers.prefix,
                    "missing": listed(lacking),
                    "n_layers": len(layers.suffixes),
                },
                remedy="Compare with another commit or format of the model; the file is probably incomplete.",
            )


def _lacking(layers: _LayerList) -> Iterator[str]:
    numbers = sorted(layers.suffixes)
    for number in sorted(set(range(numbers[-1])) - set(numbers))[:MAX_LISTED]:
        yield f"{layers.prefix}{number}.*"
    seen = Counter(suffix for suffixes in layers.suffixes.values() for suffix in suffixes)
    usual = {suffix for suffix, times in seen.items() if _is_usual(times, len(numbers))}
    for number in numbers:
        own = layers.suffixes[number]
        if own - usual:
            continue  # it has something else instead
        edge = number in {numbers[0], numbers[-1]}
        modules = {suffix.partition(".")[0] for suffix in own}
        for suffix in sorted(usual - own):
            if not edge or suffix.partition(".")[0] in modules:
                yield f"{layers.prefix}{number}.{suffix}"


def _is_usual(times: int, n_layers: int) -> bool:
    return n_layers - times <= max(1, n_layers // _MAX_LACKING)


@rule("EMB131", Severity.ERROR)
def values_are_not_finite(scanned: ValueScans) -> Iterator[Observation]:
    """Weights hold NaN or infinity.

    One such value spreads to every embedding that touches it. Information only where all of them are minus
    infinity: attention masks are stored so. Asked at depth full.
    """
    for scan in scanned.scans:
        if scan.is_finite:
            continue
        first = scan.first_nan if scan.n_nan else scan.first_inf
        yield Observation(
            message=f"`{scan.name}` holds {scan.n_nan:,} NaN and {scan.n_inf:,} infinite values.",
            where=Where(path=scanned.checkpoint, tensor=scan.name),
            evidence={
                "n_nan": scan.n_nan,
                "n_inf": scan.n_inf,
                "first": first,
            },
            remedy="Do not use this file, unless the tensor is a mask; take another commit or format.",
            severity=Severity.INFO if scan.n_nan == 0 and scan.n_inf == scan.n_negative_inf else None,
        )


@rule("EMB132", Severity.ERROR)
def checkpoint_is_empty(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The weight file holds no tensors.

    A loader that takes it starts every parameter at random values. Information for files that no loader opens
    by their name: sampler states and the like.
    """
    if not checkpoint.tensors and not checkpoint.missing_files:
        yield Observation(
            message=f"`{checkpoint.name}` holds no tensors.",
            where=Where(path=checkpoint.name),
            evidence={"format": str(checkpoint.format)},
            remedy="Use another file of the repository.",
            severity=None if _is_opened_by_name(checkpoint.name) else Severity.INFO,
        )


@rule("EMB133", Severity.ERROR)
def pickle_needs_too_new_a_protocol(checkpoint: Checkpoint, files: WeightFiles) -> Iterator[Observation]:
    """The pickle's protocol is one that loaders of weights refuse.

    `torch.save` writes protocol 2. `torch.load` with `weights_only=True`, the default since torch 2.6, knows
    no opcodes of protocol 4 and 5 (`_weights_only_unpickler.py` of 2.13), and neither does candle
    (candle-core/src/pickle.rs at 63810239). A warning where safetensors lie beside the file.
    """
    protocol = 0 if checkpoint.pickle is None else checkpoint.pickle.protocol
    if protocol > _NEWEST_LOADABLE_PROTOCOL:
        yield Observation(
            message=f"`{checkpoint.name}` has pickle protocol {protocol}: torch.load refuses it by default.",
            where=Where(path=checkpoint.name),
            evidence={"protocol": protocol},
            remedy="Save it again without `pickle_protocol`, or convert it to safetensors.",
            severity=Severity.WARNING if has_safetensors(checkpoint.name, files) else None,
        )


@rule("EMB134", Severity.WARNING)
def file_is_no_state_dict(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The file holds tensors, but not by name.

    A bare tensor, a list or a tuple: no loader of models can tell which parameter is which.
    """
    names = tuple(checkpoint.tensors)
    if checkpoint.pickle is not None and names and all(name == "tensor" or name.isdigit() for name in names):
        yield Observation(
            message=f"`{checkpoint.name}` holds {plural(len(names), 'tensor')} without a name.",
            where=Where(path=checkpoint.name),
            evidence={"names": listed(names)},
            remedy="Save a dict of names to tensors.",
        )


@rule("EMB140", Severity.ERROR)
def weight_file_is_malformed(unreadable: UnreadableFile) -> Iterator[Observation]:
    """A weight file does not follow its format, or cannot be read.

    Loaders refuse it, or read something else than its author wrote. Information for files that no loader
    opens by their name: `.bin` is also what other programs call their files. A file without a content at all
    is EMB027.
    """
    if not unreadable.limit and not unreadable.no_content:
        yield Observation(
            message=f"`{unreadable.path}` cannot be read: {unreadable.problem}.",
            where=Where(path=unreadable.path),
            evidence={"problem": unreadable.problem},
            remedy="Download it again; if that does not help, take another commit.",
            severity=None if _is_opened_by_name(unreadable.path) else Severity.INFO,
        )


def _is_opened_by_name(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith((".safetensors", ".index.json")) or name.startswith("pytorch_model")


@rule("EMB141", Severity.ERROR)
def weight_file_exceeds_a_limit(unreadable: UnreadableFile) -> Iterator[Observation]:
    """A weight file would take more than a resource limit allows.

    It was not read, so nothing is known about it: that is not the same as clean.
    """
    if unreadable.limit:
        yield Observation(
            message=f"`{unreadable.path}` was not read: {unreadable.problem}.",
            where=Where(path=unreadable.path),
            evidence={"problem": unreadable.problem, "limit": unreadable.limit},
            remedy=f"If you trust the file, raise the limit `{unreadable.limit}`.",
        )
