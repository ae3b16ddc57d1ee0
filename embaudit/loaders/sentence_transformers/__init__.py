"""The loader sentence-transformers, 2.0 to 6.2: a model of modules, each loaded from a folder of its own.

`modules.json` lists the modules. A Transformer is loaded by transformers; the others open a weight file of
their own, without an index, and refuse whatever does not fit.
"""

from embaudit.loaders.base import Loader
from embaudit.loaders.sentence_transformers.eras import ERAS, RELEASES, SentenceTransformersEra
from embaudit.loaders.sentence_transformers.predict import declared_pipeline, predict, settings_refusal
from embaudit.loaders.transformers import TRANSFORMERS

SENTENCE_TRANSFORMERS: Loader[SentenceTransformersEra] = Loader(
    name="sentence-transformers",
    aliases=("st",),
    releases=RELEASES,
    eras=ERAS,
    stands_on=("transformers", *TRANSFORMERS.stands_on),
    predict=predict,
)
"""`SentenceTransformer(path)`."""

__all__ = [
    "ERAS",
    "RELEASES",
    "SENTENCE_TRANSFORMERS",
    "SentenceTransformersEra",
    "declared_pipeline",
    "settings_refusal",
]
