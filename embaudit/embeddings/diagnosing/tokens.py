"""Texts to the numbers of their tokens, by the tokenizers library, from what transformers or a file says.

Knows casing, cutting, prompts and special tokens. The file is data, and nothing of it is executed; what it
may make of a text is bounded, and what the library raises becomes one of embaudit's errors. Refuses to know
what loaders make of the settings beside it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from tokenizers import Encoding, Tokenizer

from embaudit.embeddings.diagnosing.growth import MOST_CHARACTERS, Step, check_growth, growing_steps
from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.errors import FormatError, LimitError, TargetError
from embaudit.model.files import Snapshot
from embaudit.model.limits import Limits
from embaudit.reading import read_document, view_file

TOKENIZER = "tokenizer.json"

MOST_TOKENS = 8192
"""Tokens of one text, wherever it is cut: what the longest models take that embaudit knows."""

_PANIC = ("pyo3_runtime", "PanicException")
"""Module and name of what a panic in Rust becomes. It is no Exception, and cannot be imported."""

_AROUND = ("version", "truncation", "padding", "decoder")
"""Fields of `tokenizer.json` that say nothing of the tokens of a text that is neither cut nor padded."""


@attrs.frozen(kw_only=True)
class Tokens:
    """One text as a model gets it.

    Attributes:
        numbers: Of its tokens, in order.
        special: For each, whether it was added around the text.
        n_prompt: How many at the start belong to the prompt, a special token before it included.
    """

    numbers: tuple[int, ...]
    special: tuple[bool, ...]
    n_prompt: int = 0


@attrs.frozen(kw_only=True, eq=False)
class TextCutter:
    """A tokenizer that neither pads nor, on its own, cuts.

    Attributes:
        backend: Of the tokenizers library.
        growing: The steps of its normaliser, if any of them makes texts longer.
        cut_side: Where texts are cut, `left` or `right`.
    """

    backend: Tokenizer
    growing: tuple[Step, ...] = ()
    cut_side: str = "right"


@attrs.frozen(kw_only=True)
class TokenizerFile:
    """How a repository's texts are tokenized.

    Attributes:
        document: In the form of `tokenizer.json`: what transformers makes of it and of the settings beside
            it, which nobody changes.
        stored: What `tokenizer.json` itself says; None if that is the same.
        padding_side: Where loaders put padding, `left` or `right`.
        cut_side: Where they cut texts, likewise.
        doubt: Why it is not sure that loaders tokenize so, one sentence; empty if it is.
    """

    document: dict[str, Any] = attrs.field(repr=False)
    stored: dict[str, Any] | None = attrs.field(default=None, repr=False)
    padding_side: str = "right"
    cut_side: str = "right"
    doubt: str = ""

    @property
    def lowercases(self) -> bool:
        """Whether texts are lowercased."""
        return _any_lowercases(self.document)

    @property
    def cut_length(self) -> int | None:
        """Tokens at which the file itself says that texts end."""
        return _number((self.stored or self.document).get("truncation"), "max_length")

    @property
    def padded_length(self) -> int | None:
        """Tokens to which the file itself says that every text is filled up, if that is a length to try."""
        padding = (self.stored or self.document).get("padding")
        length = _number(padding.get("strategy"), "Fixed") if isinstance(padding, dict) else None
        return None if length is not None and length > MOST_TOKENS else length

    def lowercasing_first(self) -> "TokenizerFile":
        """The same with a step before all others that lowercases and does nothing else."""
        steps = [{"type": "Lowercase"}, *_steps(self.document.get("normalizer"))]
        normalizer = {"type": "Sequence", "normalizers": steps}
        return attrs.evolve(
            self, document={**self.document, "normalizer": normalizer}, stored=self.stored or self.document
        )

    def tokenizer(self, lowercase: bool | None = None, *, as_stored: bool = False) -> TextCutter:
        """A tokenizer.

        Args:
            lowercase: Whether it lowercases; None for as it does.
            as_stored: Whether it is that of `tokenizer.json` alone.

        Raises:
            FormatError: If the library refuses it.
            LimitError: If it puts too many special tokens around a text.
        """
        document = (self.stored or self.document) if as_stored else self.document
        if lowercase is not None and lowercase is not _any_lowercases(document):
            document = {**document, "normalizer": _cased(document.get("normalizer"), lowercase=lowercase)}
        made = parse_tokenizer(document)
        made.no_truncation()
        made.no_padding()
        if (count := made.num_special_tokens_to_add(is_pair=False)) > MOST_TOKENS:
            raise LimitError(f"it puts {count} special tokens around a text", TOKENIZER, "MOST_TOKENS")
        with _telling(FormatError):
            growing = growing_steps(document.get("normalizer"))
        return TextCutter(backend=made, growing=growing, cut_side="right" if as_stored else self.cut_side)


def parse_tokenizer(document: dict[str, Any]) -> Tokenizer:
    """What the library makes of the content of a `tokenizer.json`.

    Raises:
        FormatError: If it refuses it.
    """
    with _telling(FormatError):
        return Tokenizer.from_str(json.dumps(document))


def same_tokens(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two documents make the same tokens of every text, as far as their fields say."""
    first, second = (json.loads(parse_tokenizer(document).to_str()) for document in (left, right))
    return all(first.get(name) == second.get(name) for name in first | second if name not in _AROUND)


def read_tokenizer(snapshot: Snapshot, limits: Limits) -> TokenizerFile:
    """The `tokenizer.json` in the root of a snapshot.

    Raises:
        TargetError: If there is none.
        SourceError: If it cannot be read.
        FormatError: If it is no JSON object.
        LimitError: If it is too large or nests too deep.
    """
    if TOKENIZER not in snapshot.files:
        raise TargetError(
            f"the repository has no `{TOKENIZER}`, and texts are tokenized by nothing else here"
        )
    read_document(snapshot, TOKENIZER, limits)  # refuses what is too large or too deep
    view = view_file(snapshot, TOKENIZER)
    document = json.loads(view.read(0, view.size))
    if not isinstance(document, dict):
        raise FormatError("it is not a JSON object", TOKENIZER)
    return TokenizerFile(document=document)


def tokenize(
    cutter: TextCutter, texts: Sequence[str], setting: Setting, most: int | None
) -> tuple[Tokens, ...]:
    """The tokens of each text.

    Args:
        cutter: What `TokenizerFile.tokenizer` gave for the casing of `setting`.
        texts: The texts.
        setting: What is put before them, and where they end.
        most: Tokens that the model takes at most, or None if it takes any number.

    Raises:
        LimitError: If a text has too many tokens for a model that takes any number of them, or has or
            becomes too many characters.
        TargetError: If a text has no token at all, cannot be cut so short, or is one that the tokenizer
            cannot take.
    """
    allowed = min(length for length in (setting.max_length, most, MOST_TOKENS + 1) if length is not None)
    with _telling(TargetError):
        cutter.backend.enable_truncation(allowed, direction=cutter.cut_side)
    n_prompt = _prompt_length(cutter, setting)
    return tuple(
        _tokens(_encoded(cutter, setting.prompt + text, setting), n_prompt, allowed) for text in texts
    )


def _encoded(cutter: TextCutter, text: str, setting: Setting) -> Encoding:
    if len(text) > MOST_CHARACTERS:
        raise LimitError(f"a text has more than {MOST_CHARACTERS} characters", limit="MOST_CHARACTERS")
    with _telling(TargetError):
        check_growth(cutter.growing, text)
        return cutter.backend.encode(text, add_special_tokens=setting.special_tokens)


def _tokens(encoding: Encoding, n_prompt: int, allowed: int) -> Tokens:
    if len(encoding.ids) > MOST_TOKENS:
        raise LimitError(f"a text has more than {MOST_TOKENS} tokens", limit="MOST_TOKENS")
    if len(encoding.ids) > allowed:  # the library cuts nothing where special tokens alone are more
        raise TargetError(f"texts cannot be cut to {allowed} tokens: special tokens alone are more")
    if not encoding.ids:
        raise TargetError("a text has no token")
    return Tokens(
        numbers=tuple(encoding.ids),
        special=tuple(map(bool, encoding.special_tokens_mask)),
        n_prompt=n_prompt,
    )


def _prompt_length(cutter: TextCutter, setting: Setting) -> int:
    """Tokens of the prompt alone, without the special one at its end, as sentence-transformers counts."""
    if not setting.prompt:
        return 0
    encoding = _encoded(cutter, setting.prompt, setting)
    ends_special = bool(encoding.special_tokens_mask) and bool(encoding.special_tokens_mask[-1])
    return len(encoding.ids) - ends_special


def is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked: what comes of that is no Exception."""
    return (type(error).__module__, type(error).__name__) == _PANIC


@contextmanager
def _telling(kind: type[FormatError | TargetError]) -> Iterator[None]:
    """Whatever the tokenizers library raises, told as an error of this kind.

    It raises plain exceptions, and where Rust panics (a regular expression that gives up, say) one that is no
    Exception.
    """
    try:
        yield
    except (FormatError, LimitError, TargetError):
        raise
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        problem = f"the tokenizers library fails with it: {error}"
        if kind is FormatError:
            raise FormatError(problem, TOKENIZER) from None
        raise TargetError(f"`{TOKENIZER}`: {problem}") from None


def _number(holder: object, key: str) -> int | None:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, int) and value > 0 else None


def _steps(normalizer: object) -> list[dict[str, Any]]:
    """The steps of a normaliser, in order."""
    if not isinstance(normalizer, dict):
        return []
    if normalizer.get("type") != "Sequence":
        return [normalizer]
    steps = normalizer.get("normalizers")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _lowercases(step: dict[str, Any]) -> bool:
    return step.get("type") == "Lowercase" or bool(step.get("lowercase"))


def _any_lowercases(document: dict[str, Any]) -> bool:
    return any(_lowercases(step) for step in _steps(document.get("normalizer")))


def _cased(normalizer: object, *, lowercase: bool) -> dict[str, Any]:
    """The normaliser with its lowercasing switched on or off."""
    steps = _steps(normalizer)
    if any("lowercase" in step for step in steps):
        steps = [{**step, "lowercase": lowercase} if "lowercase" in step else step for step in steps]
    elif lowercase:
        steps = [{"type": "Lowercase"}, *steps]
    if not lowercase:
        steps = [step for step in steps if step.get("type") != "Lowercase"]
    return {"type": "Sequence", "normalizers": steps}
