"""transformers: what `AutoModel.from_pretrained` does with a repository, release by release from 4.30 on."""

from embaudit.loaders.base import Loader
from embaudit.loaders.transformers.eras import ERAS, TransformersEra
from embaudit.loaders.transformers.predict import NAME, load_model, predict
from embaudit.loaders.transformers.releases import RELEASES

TRANSFORMERS: Loader[TransformersEra] = Loader(
    name=NAME,
    releases=RELEASES,
    eras=ERAS,
    stands_on=("torch", "peft", "tensorflow", "flax", "trust-remote-code"),
    predict=predict,
)
"""The library, with torch."""

__all__ = ["TRANSFORMERS", "TransformersEra", "load_model"]
