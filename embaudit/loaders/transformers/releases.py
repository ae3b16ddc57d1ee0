"""The stable releases of transformers from 4.30 on, and the first that knows each kind of model by itself.

Both were read on PyPI and in the packages found there: the releases from its index, which leaves out what
was withdrawn (4.46.0, 4.57.0, 5.10.0), the kinds of model from `models/auto/configuration_auto.py` or
`auto_mappings.py` of each wheel.
"""

from packaging.version import Version

from embaudit.model.frozen import FrozenMapping

RELEASES = tuple(
    f"{series}.{patch}"
    for series, patches in (
        *(("4.30", "012"), ("4.31", "0"), ("4.32", "01"), ("4.33", "0123"), ("4.34", "01"), ("4.35", "012")),
        *(("4.36", "012"), ("4.37", "012"), ("4.38", "012"), ("4.39", "0123"), ("4.40", "012")),
        *(("4.41", "012"), ("4.42", "01234"), ("4.43", "01234"), ("4.44", "012"), ("4.45", "012")),
        *(("4.46", "123"), ("4.47", "01"), ("4.48", "0123"), ("4.49", "0"), ("4.50", "0123")),
        *(("4.51", "0123"), ("4.52", "1234"), ("4.53", "0123"), ("4.54", "01"), ("4.55", "01234")),
        *(("4.56", "012"), ("4.57", "123456"), ("5.0", "0"), ("5.1", "0"), ("5.2", "0"), ("5.3", "0")),
        *(("5.4", "0"), ("5.5", "01234"), ("5.6", "012"), ("5.7", "0"), ("5.8", "01"), ("5.9", "0")),
        *(("5.10", "124"), ("5.11", "0"), ("5.12", "01"), ("5.13", "01"), ("5.14", "01"), ("5.15", "01")),
        *(("5.16", "01"), ("5.17", "0"), ("5.18", "0"), ("5.19", "0"), ("5.20", "012"), ("5.21", "01")),
        *(("5.22", "012"), ("5.23", "0")),
    )
    for patch in patches
)
"""Every stable release, oldest first."""

FIRST_RELEASES = FrozenMapping(
    {
        "mistral": Version("4.34.0"),
        "qwen2": Version("4.37.0"),
        "modernbert": Version("4.48.0"),
        "gemma3_text": Version("4.50.0"),
        "qwen3": Version("4.51.0"),
        "jina_embeddings_v3": Version("5.4.0"),
        "nomic_bert": Version("5.5.0"),
        "gte": Version("5.18.0"),
    }
)
"""`model_type` to the first release that has a class for it; those that 4.30 has are not among them."""
