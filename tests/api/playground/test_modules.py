"""The modules of the page, run by Node.js and compared with Python and the service."""

import hashlib
import hmac
import json
import random
import string
from collections.abc import Callable
from typing import Any

import pytest

from app.api.auth import tc3
from app.domain import FaceModelVersion
from app.scoring.scale import _SCORE_AT_FAR

_Node = Callable[[str, object], Any]
_NAMES = ("content-type", "host")


def test_sha256_and_hmac_agree_with_python(in_node: _Node) -> None:
    rng = random.Random(8)
    lengths = [*range(130), 1000, 100_003]
    messages = [rng.randbytes(length) for length in lengths]
    keys = [rng.randbytes(rng.randrange(150)) for _ in lengths]
    output = in_node(
        """
        const { sha256, hmac, hex } = await load("sha256.js");
        const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
        const output = input.map(([key, text]) => [hex(sha256(bytes(text))), hex(hmac(bytes(key), bytes(text)))])
        """,
        [(key.hex(), message.hex()) for key, message in zip(keys, messages, strict=True)],
    )
    assert output == [
        [hashlib.sha256(message).hexdigest(), hmac.new(key, message, "sha256").hexdigest()]
        for key, message in zip(keys, messages, strict=True)
    ]


def _signed(call: dict[str, Any]) -> str:
    date, host = tc3.utc_date(call["timestamp"]), call["host"]
    headers = {"content-type": "application/json", "host": host}
    payload = tc3.hashed_payload(tc3.sha256(call["body"].encode()))
    canonical = tc3.canonical_request("POST", "", headers, _NAMES, payload)
    string_to_sign = tc3.string_to_sign(str(call["timestamp"]), tc3.credential_scope(date, "iai"), canonical)
    signature = tc3.signature(tc3.signing_key(call["secretKey"], date, "iai"), string_to_sign)
    return tc3.format_authorization(tc3.Authorization(call["secretId"], date, "iai", _NAMES, signature))


def _authorizations(in_node: _Node, calls: list[dict[str, Any]]) -> list[str]:
    program = """
        const { authorization } = await load("tc3.js"); const { utf8 } = await load("sha256.js");
        const output = input.map((call) => authorization({ ...call, body: utf8(call.body) }))
    """
    return list(in_node(program, calls))


def test_signatures_agree_with_the_service(in_node: _Node) -> None:
    rng = random.Random(3)
    letters = string.ascii_letters + string.digits
    calls = [
        {
            "secretId": "".join(rng.choices(letters, k=36)),
            "secretKey": "".join(rng.choices(letters + "密钥é:=+/ ", k=rng.randrange(1, 90))),
            "host": rng.choice(["127.0.0.1:8000", "iai.example", "[::1]:80"]),
            "body": json.dumps({"UrlA": "".join(rng.choices(letters + "图片", k=rng.randrange(300)))}),
            "timestamp": rng.randrange(1_500_000_000, 2_000_000_000),
        }
        for _ in range(300)
    ]
    assert _authorizations(in_node, calls) == [_signed(call) for call in calls]


def test_the_signature_of_the_vendors_sdks_is_reproduced(in_node: _Node) -> None:
    """``tests/api/auth/test_tc3.py`` has the other test vectors."""
    call = {
        "secretId": "AKIDEXAMPLE",
        "secretKey": "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        "host": "127.0.0.1:8000",
        "body": '{"UrlA":"http://a/1.jpg","UrlB":"http://a/2.jpg"}',
        "timestamp": 1700000000,
    }
    [authorization] = _authorizations(in_node, [call])
    assert authorization.endswith("Signature=0665dedf81f89d660fe8501614e26b723e9d7f0827bff69879393bf0c498b1f6")


def test_the_points_of_the_scale_agree_with_the_service(in_node: _Node) -> None:
    points = in_node('const output = (await load("score.js")).SCORE_AT_FAR', None)
    assert points == {
        version.value: [[far, score] for far, score in _SCORE_AT_FAR[version].items()] for version in FaceModelVersion
    }


@pytest.mark.parametrize(
    ("score", "version", "pairs", "band"),
    [
        (0, "3.0", None, 0),
        (3, "3.0", 2, 0),
        (34, "3.0", 320, 0),
        (39.99, "3.0", 1000, 0),
        (40, "3.0", 1000, 1),
        (45, "3.0", 3200, 1),
        (50, "3.0", 10_000, 2),
        (60, "3.0", 100_000, 3),
        (60.1, "3.0", None, 3),
        (69.9, "2.0", 990, 0),
        (80, "2.0", 10_000, 2),
        (97, "2.0", None, 3),
    ],
)
def test_scores_are_converted_to_pairs_per_false_accept_and_band(
    in_node: _Node, score: float, version: str, pairs: int | None, band: int
) -> None:
    program = """
        const { pairsPerFalseAccept, band } = await load("score.js");
        const output = [pairsPerFalseAccept(...input), band(...input)]
    """
    assert in_node(program, [score, version]) == [pairs, band]


@pytest.mark.parametrize("has_token", [True, False])
def test_programs_read_a_token_for_temporary_keys_only(in_node: _Node, has_token: bool) -> None:
    texts = in_node(
        """
        const { sdkPrograms } = await load("snippets.js");
        const call = { version: "2020-03-03", images: [{ side: "A" }, { side: "B" }], options: {}, secretId: "me" };
        const output = sdkPrograms({ ...call, hasToken: input, endpoint: new URL("http://iai.example/") })
        """,
        has_token,
    )
    compile(texts["Python"], "Python", "exec")
    assert {name: "TOKEN" in text for name, text in texts.items()} == dict.fromkeys(texts, has_token)


@pytest.mark.parametrize("url", ["http://a.example/x?y='\"$z\\", None])
def test_programs_contain_options_and_images(in_node: _Node, url: str | None) -> None:
    call = {
        "version": "2018-03-01",
        "images": [{"side": "A", "url": url}, {"side": "B"}],
        "options": {"FaceModelVersion": "2.0", "QualityControl": 2},
    }
    texts = in_node(
        """
        const { sdkPrograms } = await load("snippets.js");
        const output = sdkPrograms({ ...input, secretId: "me", endpoint: new URL("https://iai.example:8443/") })
        """,
        call,
    )
    assert list(texts) == ["Python", "Java", "Go", "Node.js", "PHP", "C#"]
    compile(texts["Python"], "Python", "exec")
    for text in texts.values():
        assert "20180301" in text
        assert "iai.example:8443" in text
        assert "b.jpg" in text
        assert ("a.jpg" in text) == (url is None)
        assert "QualityControl" in text
        assert "undefined" not in text
