"""text-embeddings-inference, Hugging Face's server of embedding models, 0.1 to 1.9, by its images.

Knows what its router and its candle backend do with a repository: `settings` and `configs` hold what keeps it
from starting, `files` which weight file it opens, `encoders` and `decoders` what each model wants of that,
`dense` what comes after the transformer, `eras` what differs between versions. Knows nothing of what a graph
for ONNX Runtime holds, which the CPU images prefer, and nothing of the images with python.
"""

from embaudit.loaders.base import Loader
from embaudit.loaders.tei.eras import ERAS, RELEASES, TeiEra
from embaudit.loaders.tei.models import BACKENDS
from embaudit.loaders.tei.predict import NAME, predict

TEI: Loader[TeiEra] = Loader(
    name=NAME, aliases=("tei",), releases=RELEASES, eras=ERAS, backends=BACKENDS, predict=predict
)
"""The server as a loader: `cuda` are the images with candle on CUDA, `cpu` those for processors."""

__all__ = ["TEI", "TeiEra"]
