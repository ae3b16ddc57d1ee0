"""How huggingface_hub is pointed at a loopback hub: by the environment of a new process, or in this one.

It reads its settings once, when it is imported, and copies some of them into other modules; versions differ
in where. So in a running process every copy is found by name and value.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

_LOOPBACK = "127.0.0.1,localhost"
_TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE")
_COPIED = ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE")
_SWITCHES = {
    "HF_HUB_OFFLINE": False,
    "HF_HUB_DISABLE_XET": True,
    "HF_HUB_DISABLE_TELEMETRY": True,
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
}


def environment(endpoint: str, folder: str | os.PathLike[str]) -> dict[str, str]:
    """The variables that a new process needs to use a loopback hub and nothing of the person who runs it.

    Args:
        endpoint: Where the hub listens.
        folder: The home of the cache, which has to be empty or from the same hub.
    """
    home = str(Path(folder).absolute())
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": home,
        "HF_HUB_CACHE": str(Path(home, "hub")),
        "HF_TOKEN_PATH": str(Path(home, "token")),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    } | dict.fromkeys(_TOKEN_VARIABLES, "")


@contextmanager
def in_process(endpoint: str, *, token: str | None = None) -> Iterator[None]:
    """Point huggingface_hub, as this process has it, at a hub; everything is as before afterwards.

    The cache stays where it is. Connections that were open are closed on the way in and out.

    Args:
        endpoint: Where the hub listens.
        token: The token that is found without being given, or None for nobody to be logged in.
    """
    constants = import_module("huggingface_hub.constants")
    api = import_module("huggingface_hub.hf_api").api
    import_module("huggingface_hub.file_download")
    variables = {"NO_PROXY": _LOOPBACK, "no_proxy": _LOOPBACK} | ({"HF_TOKEN": token} if token else {})
    with ExitStack() as undo:
        undo.enter_context(patch.dict(os.environ, variables))
        for name in _TOKEN_VARIABLES:
            if not (token and name == "HF_TOKEN"):
                os.environ.pop(name, None)
        here = constants.ENDPOINT
        for name in _COPIED:
            value = getattr(constants, name)
            _replace(undo, name, value, value.replace(here, endpoint))
        for name, switch in _SWITCHES.items():
            undo.enter_context(patch.object(constants, name, switch))
        undo.enter_context(patch.object(constants, "HF_TOKEN_PATH", os.devnull))
        undo.enter_context(patch.object(api, "endpoint", endpoint))
        _close_connections()
        undo.callback(_close_connections)
        yield


def _replace(undo: ExitStack, name: str, old: str, new: str) -> None:
    """Set a constant in every module of huggingface_hub that has a copy of it."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("huggingface_hub") and vars(module).get(name) == old:
            undo.enter_context(patch.object(module, name, new))


def _close_connections() -> None:
    utils = import_module("huggingface_hub.utils")
    close = getattr(utils, "close_session", None) or utils.reset_sessions  # 1.0 and later; before that
    close()
