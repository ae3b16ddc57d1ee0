"""probe held against real embedding servers: sentence-transformers behind two wire formats, and infinity.

The weights are those of the real all-MiniLM-L6-v2, which lowercases, pools the mean, normalises, and cuts
texts at 256 tokens.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest

from embaudit.embeddings import PROBE_TEXTS, check_server, compare_embeddings, compare_probes, probe
from embaudit.embeddings.rounding import noise_limit
from embaudit.model.comparison import Relation
from embaudit.model.dtypes import DType
from embaudit.model.files import Snapshot
from embaudit.model.probe import Behaviour
from embaudit.testing.embedding_server import EmbeddingServer

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
LOOPBACK = "127.0.0.1"
START_SECONDS = 120
SHORT_TEXTS = PROBE_TEXTS[:12]
"""All but the long ones, for what lengths do not show."""
MINILM = {
    Behaviour.BATCHES: True,
    Behaviour.KEEPS_ORDER: True,
    Behaviour.REPEATS: True,
    Behaviour.TWINS: True,
    Behaviour.NORMALIZES: True,
    Behaviour.TRUNCATES: True,
    Behaviour.FOLDS_CASE: True,
}
"""How all-MiniLM-L6-v2 behaves. Its vocabulary lacks scripts, so that it may not tell all texts apart."""

Embed = Callable[[Sequence[str]], np.ndarray]


def environment(name: str) -> Path:
    """The python of an environment."""
    if not (ENVIRONMENTS / name / "made-from.txt").is_file():
        pytest.fail(f"no environment {name}; run: python tests/interop/make_environments.py")
    return ENVIRONMENTS / name / "bin"


def alone(home: Path) -> dict[str, str]:
    """Nothing of the person's own settings, and no hub."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}


@contextmanager
def model(minilm: Path, home: Path, dtype: str = "float32") -> Iterator[Embed]:
    """The real sentence-transformers, in a process of its own that answers batches."""
    script = HERE / "embed_on_request_with_sentence_transformers.py"
    command = [environment("sentence-transformers") / "python", script, minilm, dtype]
    pipe = subprocess.PIPE
    with (
        (home / f"{dtype}.log").open("wb") as log,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, env=alone(home), encoding="utf-8"
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (home / f"{dtype}.log").read_text(encoding="utf-8")

        def embed(texts: Sequence[str]) -> np.ndarray:
            process.stdin.write(json.dumps(list(texts)) + "\n")
            process.stdin.flush()
            return np.array(json.loads(process.stdout.readline()))

        yield embed
        process.stdin.close()


@pytest.fixture(scope="module")
def embed(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embed]:
    """The model in float32."""
    with model(minilm, tmp_path_factory.mktemp("home")) as answers:
        yield answers


@pytest.mark.parametrize("wire", ["tei", "openai"])
def test_the_real_model_is_probed_over_either_protocol(wire: str, embed: Embed) -> None:
    """Over both protocols the vectors are those of sentence-transformers, and behave as its model does."""
    texts = PROBE_TEXTS if wire == "tei" else SHORT_TEXTS
    with EmbeddingServer(embed, model_id="sentence-transformers/all-MiniLM-L6-v2") as server:
        probed = probe(getattr(server, wire), texts)

    compared = compare_embeddings(embed(texts), probed.vectors)
    assert compared.agrees
    assert compared.residual <= noise_limit(DType.FLOAT32)
    assert {behaviour: probed.does(behaviour) for behaviour in MINILM} == MINILM | (
        {} if texts is PROBE_TEXTS else {Behaviour.TRUNCATES: None}
    )
    assert not probed.faults


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_another_dtype_is_drift_of_its_size(dtype: str, embed: Embed, minilm: Path, tmp_path: Path) -> None:
    """A server that computes in a narrower type has drifted, by rounding of that type."""
    golden = probe(embed, SHORT_TEXTS, observe=False)
    with model(minilm, tmp_path, dtype) as narrower, EmbeddingServer(narrower) as server:
        drift = compare_probes(golden, probe(server.tei, SHORT_TEXTS, observe=False))

    assert drift.drifted
    assert drift.comparison.relation is Relation.ROUNDING
    assert drift.comparison.rounding is not None
    assert drift.comparison.rounding.dtype == dtype


def test_vectors_that_are_not_normalised_are_seen(embed: Embed) -> None:
    """A server without the last module drifts from the golden probe by its lengths alone."""
    with EmbeddingServer(
        lambda texts: embed(texts) * np.array([[3.0 + len(text)] for text in texts])
    ) as server:
        probed = probe(server.tei, SHORT_TEXTS)
    drift = compare_probes(probe(embed, SHORT_TEXTS, observe=False), probed)

    assert probed.does(Behaviour.NORMALIZES) is False
    assert drift.comparison.relation is Relation.SCALED
    assert len(drift.drifted) == len(SHORT_TEXTS)


@pytest.fixture(scope="module")
def infinity(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base address of the real infinity, serving the same weights in float32."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("infinity")
    command = [environment("infinity") / "infinity_emb", "v2", "--model-id", str(minilm), "--port", str(port)]
    command += ["--host", LOOPBACK, "--device", "cpu", "--engine", "torch", "--no-bettertransformer"]
    command += ["--no-model-warmup", "--dtype", "float32", "--served-model-name", "minilm"]
    settings = {**alone(home), "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=settings)
        try:
            base = f"http://{LOOPBACK}:{port}"
            _wait_for(f"{base}/health", process, home / "log")
            yield base
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    opener = build_opener(ProxyHandler({}))
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            opener.open(url, timeout=START_SECONDS).close()
        except (URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"infinity did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def test_infinity_is_probed(infinity: str, embed: Embed) -> None:
    """Infinity 0.0.78 gives the vectors of sentence-transformers, but for float32 in another order."""
    probed = probe(f"openai+{infinity}/embeddings?model=minilm")

    compared = compare_embeddings(embed(PROBE_TEXTS), probed.vectors)
    assert compared.agrees
    assert compared.rounding is None or compared.rounding.dtype is DType.FLOAT32
    assert {each.behaviour: each.holds for each in probed.observations}.items() >= MINILM.items()
    assert probed.server is not None
    assert probed.server.model_id == "minilm"
    snapshot = Snapshot(source="memory", repo_id="sentence-transformers/all-MiniLM-L6-v2", files={})
    assert check_server(probed.server, snapshot).compared == ()


def test_infinity_lists_its_model(infinity: str) -> None:
    """Without a model in the address, the one that infinity lists is asked."""
    assert probe(f"openai+{infinity}/embeddings", ["a", "b"], observe=False).vectors.shape == (2, 384)
