"""A Hugging Face hub on this machine, to test what reads from the hub: gates, pipelines, embaudit itself.

    from embaudit.testing.loopback_hub import LoopbackHub, Sparse, Status

    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create("org/name")
        repository.commit({"config.json": b"{}", "model.safetensors": Sparse(700 * 10**9, {0: header})})
        hub.inject(Status(status=503, where="/resolve/"))
        ...
        assert len(hub.requests) < 10

The wire behaviour is that of the real hub as far as huggingface_hub 0.34 to 2.x and embaudit look at it.
"""

from embaudit.testing.loopback_hub.contents import File, Sparse
from embaudit.testing.loopback_hub.faults import (
    BodyReplaced,
    Dropped,
    Fault,
    Gzipped,
    HeaderChanged,
    JsonCut,
    JsonEdited,
    Late,
    LinkElsewhere,
    LongBody,
    Meanwhile,
    OtherCommit,
    RangeIgnored,
    Redirected,
    ShortBody,
    Status,
    Trickle,
    UrlExpired,
    WrongRange,
)
from embaudit.testing.loopback_hub.hub import LoggedRequest, LoopbackHub
from embaudit.testing.loopback_hub.messages import Request
from embaudit.testing.loopback_hub.repositories import Repository

__all__ = [
    "BodyReplaced",
    "Dropped",
    "Fault",
    "File",
    "Gzipped",
    "HeaderChanged",
    "JsonCut",
    "JsonEdited",
    "Late",
    "LinkElsewhere",
    "LoggedRequest",
    "LongBody",
    "LoopbackHub",
    "Meanwhile",
    "OtherCommit",
    "RangeIgnored",
    "Redirected",
    "Repository",
    "Request",
    "ShortBody",
    "Sparse",
    "Status",
    "Trickle",
    "UrlExpired",
    "WrongRange",
]
