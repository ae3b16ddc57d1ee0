# ruff: noqa: RUF001 - the texts are written in their own scripts, whose letters look alike
"""The probe texts: fixed, so that probes of different days and servers can be compared.

A text is never changed or removed without a new `PROBE_TEXTS_VERSION`. Each is here for something that goes
wrong: see `PURPOSES`. All texts were written for this set.
"""

from collections.abc import Mapping

PROBE_TEXTS_VERSION = "1"
"""Version of the set: probes with the same version hold the same texts in the same order."""

_SENTENCE = "Station {number} reports wind from the north, light rain and a clear view to the hills. "
_N_SENTENCES = 60
"""Of 15 words and marks each: over 900 tokens for any tokenizer, beyond the window of 512 of most models."""


def _over_length(end: str) -> str:
    return "".join(_SENTENCE.format(number=number) for number in range(_N_SENTENCES)) + end


NAMED_TEXTS: Mapping[str, str] = {
    "greeting": "hello world",
    "sentence": "The quick survey of old bridges took seven weeks.",
    "capitals": "THE QUICK SURVEY OF OLD BRIDGES TOOK SEVEN WEEKS.",
    "letter": "a",
    "point": ".",
    "blanks": " \t .  \n",
    "chinese": "今天的天气非常好，我们去公园散步吧。",
    "chinese word": "银行",
    "chinese traditional": "這家圖書館每天早上九點開門。",
    "chinese paragraph": (
        "向量检索系统把文本变成数字。只要模型的权重、分词器或者池化方式有一点不同，"
        "同一句话就会得到不同的向量，而且程序不会报错。因此在上线之前，应该用固定的文本检查一遍，"
        "比较新旧两个版本的结果，确认误差只来自浮点数的舍入，而不是来自错误的文件。"
    ),
    "japanese": "電車が遅れたので、会議に間に合いませんでした。",
    "korean": "어제 도서관에서 새 책을 세 권 빌렸습니다.",
    "arabic": "وصل القطار إلى المدينة قبل الفجر بقليل.",
    "hindi": "बारिश के बाद नदी का पानी बहुत बढ़ गया।",
    "russian": "Мы долго шли вдоль реки и наконец увидели мост.",
    "german": "Die Fußgängerbrücke über den Fluss wird im März geöffnet.",
    "french": "Où est passé le garçon qui gardait les chèvres ?",
    "turkish": "IŞIKLAR İstanbul'da ılık bir gecede söndü.",
    "vietnamese": "Cơn mưa lớn đã làm ngập con đường nhỏ.",
    "mixed scripts": "Das Model gte-base-zh 在 GPU 上 runs mit float16 と言われています。",
    "signs": "🚲🌧️ → 42 % of 1,000.50 € ≈ ½ · π² [MASK] </s> <|endoftext|>",
    "code": "def mean(rows: list[float]) -> float:\n    return sum(rows) / len(rows)  # may divide by zero",
    "query": "query: which bridge was closed in winter?",
    "paragraph": (
        "When two programs read the same weights and give different vectors, the fault is seldom in the "
        "arithmetic. One of them pools the first token and the other the mean; one puts a prompt before each "
        "text, or cuts texts at another length; one skips a layer that the other applies. Nothing fails, and "
        "searches become a little worse."
    ),
    "over-length": _over_length("The morning shift ends here."),
    "over-length, other end": _over_length("Nobody expected the violins to melt."),
}
"""The texts by name, in their order."""

PURPOSES: Mapping[str, str] = {
    "greeting": "the text that everybody tries",
    "sentence": "an ordinary short text",
    "capitals": "the same in capitals: differs unless the backend folds case",
    "letter": "one token; in a batch it is nearly all padding",
    "point": "next to nothing",
    "blanks": "next to nothing between white space that may be stripped or not",
    "chinese": "one of the scripts that a vocabulary may lack",
    "chinese word": "two characters, one word",
    "chinese traditional": "characters that normalisation may map to others",
    "chinese paragraph": "a long text without blanks between words",
    "japanese": "three scripts in one sentence",
    "korean": "syllables that normalisation may take apart",
    "arabic": "written from right to left",
    "hindi": "combining signs that stripping accents removes",
    "russian": "another alphabet",
    "german": "a sharp s, which folds to two letters",
    "french": "accents, which some tokenizers strip, and a narrow space before the mark in print",
    "turkish": "dotted and dotless i, which fold differently by language",
    "vietnamese": "letters with two marks",
    "mixed scripts": "several scripts in one text",
    "signs": "emoji, numbers, and strings that are special tokens of some models",
    "code": "newlines, brackets and indentation",
    "query": "begins with a prompt that some models expect",
    "paragraph": "a text of about 70 words, within every window",
    "over-length": "longer than the windows of 128, 256 and 512 tokens",
    "over-length, other end": "the same up to its last sentence: equal vectors mean that texts are cut",
}
"""Why each text is in the set."""

PROBE_TEXTS: tuple[str, ...] = tuple(NAMED_TEXTS.values())
"""The texts in their order: what `probe` sends unless it is told otherwise."""

CASE_PAIR = (NAMED_TEXTS["sentence"], NAMED_TEXTS["capitals"])
"""Two texts that differ in case alone."""

CUT_PAIR = (NAMED_TEXTS["over-length"], NAMED_TEXTS["over-length, other end"])
"""Two texts that differ at their ends alone."""
