"""Programs of which embaudit knows what they make of a text, and not what they do with weights.

Their outcome is never better than `unknown`; what is known lies in the `pipeline` of the prediction. Each was
read at the releases that it lists and at no others.
"""

from embaudit.loaders.servers.fastembed import FASTEMBED
from embaudit.loaders.servers.infinity import INFINITY
from embaudit.loaders.servers.llama_cpp import LLAMA_CPP
from embaudit.loaders.servers.transformers_js import TRANSFORMERS_JS
from embaudit.loaders.servers.vllm import VLLM

SERVERS = (INFINITY, VLLM, FASTEMBED, TRANSFORMERS_JS, LLAMA_CPP)
"""Every such program."""

__all__ = ["FASTEMBED", "INFINITY", "LLAMA_CPP", "SERVERS", "TRANSFORMERS_JS", "VLLM"]
