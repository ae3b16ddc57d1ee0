"""Texts to the numbers of their tokens, by the `tokenizer.json` of a repository and the tokenizers library.

Knows casing, cutting, prompts and special tokens. The file is data, and nothing of it is executed. Refuses
to know what loaders make of the settings beside it.
"""

import json
from collections.abc import Sequence
from typing import Any

import attrs
from tokenizers import Encoding, Tokenizer

from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.errors import FormatError, LimitError, TargetError
from embaudit.model.files import Snapshot
from embaudit.model.limits import Limits
from embaudit.reading import read_document, view_file

TOKENIZER = "tokenizer.json"

MOST_TOKENS = 8192
"""Tokens of one text, wherever it is cut: what the longest models take that embaudit knows."""


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


@attrs.frozen(kw_only=True)
class TokenizerFile:
    """The `tokenizer.json` of a repository.

    Attributes:
        document: Its content, which nobody changes.
    """

    document: dict[str, Any] = attrs.field(repr=False)

    @property
    def lowercases(self) -> bool:
        """Whether it lowercases texts."""
        return any(_lowercases(step) for step in _steps(self.document.get("normalizer")))

    @property
    def cut_length(self) -> int | None:
        """Tokens at which the file itself says that texts end."""
        return _number(self.document.get("truncation"), "max_length")

    @property
    def padded_length(self) -> int | None:
        """Tokens to which the file itself says that every text is filled up."""
        padding = self.document.get("padding")
        return _number(padding.get("strategy"), "Fixed") if isinstance(padding, dict) else None

    def tokenizer(self, lowercase: bool | None) -> Tokenizer:
        """A tokenizer that neither cuts nor pads.

        Raises:
            FormatError: If the library refuses the file.
        """
        document = self.document
        if lowercase is not None and lowercase is not self.lowercases:
            document = {**document, "normalizer": _cased(document.get("normalizer"), lowercase=lowercase)}
        try:
            made = Tokenizer.from_str(json.dumps(document))
        except Exception as error:
            raise FormatError(f"the tokenizers library refuses it: {error}", TOKENIZER) from error
        made.no_truncation()
        made.no_padding()
        return made


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
    tokenizer: Tokenizer, texts: Sequence[str], setting: Setting, most: int | None
) -> tuple[Tokens, ...]:
    """The tokens of each text.

    Args:
        tokenizer: What `TokenizerFile.tokenizer` gave for the casing of `setting`.
        texts: The texts.
        setting: What is put before them, and where they end.
        most: Tokens that the model takes at most, or None if it takes any number.

    Raises:
        LimitError: If a text has too many tokens for a model that takes any number of them.
        TargetError: If a text has no token at all, or cannot be cut so short.
    """
    allowed = min(length for length in (setting.max_length, most, MOST_TOKENS + 1) if length is not None)
    tokenizer.enable_truncation(allowed)
    n_prompt = _prompt_length(tokenizer, setting)
    encodings = tokenizer.encode_batch(
        [setting.prompt + text for text in texts], add_special_tokens=setting.special_tokens
    )
    return tuple(_tokens(encoding, n_prompt, allowed) for encoding in encodings)


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


def _prompt_length(tokenizer: Tokenizer, setting: Setting) -> int:
    """Tokens of the prompt alone, without the special one at its end, as sentence-transformers counts."""
    if not setting.prompt:
        return 0
    encoding = tokenizer.encode(setting.prompt, add_special_tokens=setting.special_tokens)
    ends_special = bool(encoding.special_tokens_mask) and bool(encoding.special_tokens_mask[-1])
    return len(encoding.ids) - ends_special


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
