"""What libraries make of a text that give a vector for each token and leave the rest to their callers."""

from embaudit.loaders.hidden_sizes import width
from embaudit.loaders.tokenizers import DeclaredTokenizer, declared_tokenizer
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.repository import Repository


def token_vectors(repository: Repository, what: str, *, own_tokenizer: bool = True) -> EmbeddingPipeline:
    """The pipeline of a library that does not pool.

    Args:
        repository: What is loaded.
        what: Its model, as the subject of a sentence.
        own_tokenizer: Whether it makes the tokenizer as transformers does; `tokenizer.json`, by which others
            go, is not read.
    """
    tokenizer = declared_tokenizer(repository.declaration) if own_tokenizer else DeclaredTokenizer()
    return EmbeddingPipeline(
        pooling=(),
        normalize=False,
        max_seq_length=None,
        truncates=False,
        lowercase=tokenizer.lowercase,
        dimension=width(repository.declaration.config),
        padding_side=tokenizer.padding_side,
        notes=(
            f"{what} gives a vector for each token; pooling, prompts and cutting are left to its caller.",
        ),
    )
