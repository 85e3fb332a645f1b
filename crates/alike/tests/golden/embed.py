"""Writes embed/: three small ONNX encoders with random weights, inputs, and what ONNX Runtime and Pillow make of them in Python.

`python embed.py` beside this file.
"""

import json
import pathlib

import numpy as np
import onnxruntime
import tokenizers
import torch
from PIL import Image

OUT = pathlib.Path(__file__).with_name("embed")
OUT.mkdir(exist_ok=True)
torch.manual_seed(7)
rng = np.random.default_rng(7)

WORDS = "a the red blue green cotton linen shirt knife kitchen steel bread sharp long short with of for été ##s ##ing".split()
VOCAB = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
TEXTS = ["Red cotton shirts", "a sharp knife of steel", "the été", "unheard of, knifing",
         "long long long long shirt for the kitchen with bread of green linen"]


class TextEncoder(torch.nn.Module):
    """One layer of masked attention over token, kind and position embeddings: last_hidden_state [b, t, 8]."""

    def __init__(self):
        super().__init__()
        self.tokens, self.kinds = torch.nn.Embedding(len(VOCAB), 8), torch.nn.Embedding(2, 8)
        self.positions = torch.nn.Embedding(16, 8)
        self.q, self.k, self.v = (torch.nn.Linear(8, 8) for _ in range(3))

    def forward(self, input_ids, attention_mask, token_type_ids):
        at = torch.cumsum(torch.ones_like(input_ids), 1) - 1
        x = self.tokens(input_ids) + self.kinds(token_type_ids) + self.positions(at)
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        scores = scores + (1 - attention_mask[:, None, :].to(x.dtype)) * -1e4
        return x + torch.softmax(scores, -1) @ self.v(x)


class BareEncoder(torch.nn.Module):
    """As SigLIP's text side: every token is looked at, filling too, and the last place is the vector of the text."""

    def __init__(self):
        super().__init__()
        self.tokens, self.last = torch.nn.Embedding(len(VOCAB), 8), torch.nn.Linear(8, 6)

    def forward(self, input_ids):
        x = self.tokens(input_ids).cumsum(1)
        return x, self.last(torch.tanh(x[:, -1]))


class ImageEncoder(torch.nn.Module):
    """Two convolutions: the map [b, 6, h', w'] and its mean [b, 6]."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 4, 3, 2), torch.nn.Conv2d(4, 6, 3)

    def forward(self, pixels):
        maps = self.second(torch.relu(self.first(pixels)))
        return maps.mean((2, 3)), maps


def export(model, inputs, names, outputs, file, axes):
    torch.onnx.export(model.eval(), inputs, OUT / file, input_names=names, output_names=outputs,
                      dynamic_axes={n: axes for n in names}, opset_version=17, dynamo=False)
    return onnxruntime.InferenceSession(OUT / file)


def text_cases():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(VOCAB, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12)  # as many published files say; the program takes no padding from here
    tokenizer.save(str(OUT / "tokenizer.json"))
    tokenizer.no_padding()
    ids = torch.ones(2, 5, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    session = export(TextEncoder(), (ids, ids, ids * 0), names, ["last_hidden_state"], "text.onnx", {0: "b", 1: "t"})
    cases = []
    for name, toml in [("mean", ""), ("cls", 'pooling = "cls"\nnormalize = false\n'), ("padded", "pad = 14\nmax_length = 9\n")]:
        expected = []
        tokenizer.enable_truncation(9 if name == "padded" else 12)
        for text in TEXTS:
            row = tokenizer.encode(text).ids
            mask = [1] * len(row)
            while name == "padded" and len(row) < 14:
                row.append(0)
                mask.append(0)
            feeds = dict(zip(names, (np.array([v]) for v in (row, mask, [0] * len(row)))))
            hidden = session.run(None, feeds)[0][0]
            vector = hidden[0] if name == "cls" else hidden[: sum(mask)].mean(0)
            expected.append((vector if name == "cls" else vector / np.linalg.norm(vector)).tolist())
        cases.append({"name": name, "model": "text.onnx", "toml": toml, "expected": expected})
    session = export(BareEncoder(), (ids,), names[:1], ["last_hidden_state", "pooler_output"], "bare.onnx", {0: "b", 1: "t"})
    tokenizer.enable_truncation(10)
    tokenizer.enable_padding(length=10, pad_id=3, pad_token="[SEP]")
    vectors = [session.run(None, {"input_ids": np.array([tokenizer.encode(text).ids])})[1][0] for text in TEXTS]
    toml = 'max_length = 10\npad = 10\npad_token = "[SEP]"\noutput = "pooler_output"\n'
    cases.append({"name": "filled", "model": "bare.onnx", "toml": toml, "expected": [(v / np.linalg.norm(v)).tolist() for v in vectors]})
    return cases


def picture(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = rng.uniform(0.5, 1.5, 3)
    waves = [127 + 100 * np.sin(a[c] * x / 6 + c) * np.cos(y / (4 + c)) for c in range(3)]
    pixels = np.stack(waves, -1)
    pixels[h // 4 : h // 2, w // 3 : w // 2] = rng.uniform(0, 255, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


TOMLS = {
    "stretched": """size = [20, 16]
resize = "stretch"
filter = "bilinear"
channels = "bgr"
scale = 1.0
mean = [104.0, 117.0, 123.0]
std = [50.0, 60.0, 70.0]
""",
    "cut": """size = [18, 18]
resize = "centre-crop"
shorter = 22
filter = "bicubic"
scale = 0.00392156862745098
mean = [0.5, 0.4, 0.3]
std = [0.2, 0.3, 0.4]
normalize = true
output = "maps"
""",
}
TOMLS["first"] = TOMLS["cut"].replace('"bicubic"', '"bicubic"\nmiddle = "first"')


def preprocessed(name, image):
    image = image.convert("RGB")
    if name == "stretched":
        pixels = np.asarray(image.resize((20, 16), Image.BILINEAR), np.float32)[:, :, ::-1]
        pixels = (pixels - [104, 117, 123]) / [50, 60, 70]
    else:
        w, h = image.size
        w, h = (22, int(22 * h / w)) if w <= h else (int(22 * w / h), 22)
        half = (lambda n: n // 2) if name == "first" else (lambda n: round(n / 2))
        left, top = half(w - 18), half(h - 18)
        image = image.resize((w, h), Image.BICUBIC).crop((left, top, left + 18, top + 18))
        pixels = (np.asarray(image, np.float32) / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    return pixels.transpose(2, 0, 1)[None].astype(np.float32)


def image_cases():
    files = {"wide.jpg": (90, 60), "tall.png": (40, 71), "small.webp": (13, 11)}
    for file, size in files.items():
        options = {"quality": 92} if file.endswith("jpg") else {"lossless": True} if file.endswith("webp") else {}
        picture(*size).save(OUT / file, **options)
    model = ImageEncoder()
    session = export(model, torch.zeros(1, 3, 16, 20), ["pixels"], ["features", "maps"], "image.onnx", {0: "b", 2: "h", 3: "w"})
    cases = []
    for name, toml in TOMLS.items():
        expected = []
        for file in files:
            mean, maps = session.run(None, {"pixels": preprocessed(name, Image.open(OUT / file))})
            vector = mean[0] if name == "stretched" else maps[0].mean((1, 2))
            expected.append((vector if name == "stretched" else vector / np.linalg.norm(vector)).tolist())
        cases.append({"name": name, "toml": toml, "expected": expected})
    return list(files), cases


texts = text_cases()
pictures, images = image_cases()
case = {"texts": TEXTS, "text_cases": texts, "pictures": pictures, "image_cases": images}
(OUT / "expected.json").write_text(json.dumps(case, ensure_ascii=False, indent=1) + "\n")
