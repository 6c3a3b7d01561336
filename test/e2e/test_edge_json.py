#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# test_edge_json.py - what is JSON: a table and thousands of spoilt documents, judged by Python and,
# where it is installed, by JSON.parse of node. We may be stricter in what readers dispute about (see
# disputed()), never laxer.
import base64
import json
import random
import shutil
import subprocess

import kit

SEED = 20310101
SPOILT = 1500

SOUND = (
    b"0", b"-0", b"10", b"-1", b"1.5", b"0.0", b"1e5", b"1E+5", b"1e-5", b"0e0", b"9007199254740993",
    b"123456789012345678901234567890", b"1e308", b'""', b'"a"', b'"\\u00e9"', b'"\\ud83d\\ude00"', b'"\\/\\\\\\"\\b\\f\\n\\r\\t"',
    b'"\x7f"', b'"\xc2\x80"', b'"\xef\xbf\xbf"', b'"\xf4\x8f\xbf\xbf"', b'"\xe2\x80\xa8"', b"true", b"false", b"null", b"[]", b"{}",
    b"[ ]", b"{ }", b"[1,2]", b'{"a":{"b":[{}]}}', b' \t\r\n[ \t\r\n1 \t\r\n, 2 ] ', b'{"":0}', b'{"a":1,"A":2}',
    b"[" * 15 + b"]" * 15,
)
UNSOUND = (
    b"", b"01", b"-", b"+1", b".5", b"1.", b"1.e5", b"1e", b"1e+", b"0x10", b"1_000", b"1,", b"Infinity", b"NaN", b"-Infinity",
    b"\xd9\xa3", b"True", b"nul", b"nulll", b"undefined", b"'a'", b"a", b'"', b'"a', b'"\\', b'"\\x41"', b'"\\u12"', b'"\\u12g4"', b'"\\u+123"',
    b'"\\U0041"', b'"\\a"', b'"\\0"', b'"\n"', b'"\r"', b'"\t"', b'"\x00"', b'"\x1f"', b'"\xff"', b'"\xc0\x80"', b'"\xc1\xbf"',
    b'"\xe0\x80\x80"', b'"\xed\xa0\x80"', b'"\xf0\x80\x80\x80"', b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\xe2\x82"', b'"\x80"',
    b"[", b"]", b"[1", b"[1,", b"[1,]", b"[,]", b"[1 2]", b"[1:2]", b"{", b"}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}',
    b'{"a" 1}', b"{a:1}", b"{'a':1}", b'{1:2}', b'{"a":1;"b":2}', b"[1]]", b"1 2", b"// x\n1", b"/* x */1", b"#", b"\xef\xbb\xbf1", b"1\x0c", b"\x0b1",
    b"\xc2\xa01", b"\xe2\x80\xa81", b"1\x00", b"\x00",
)
DISPUTED = (
    b'"\\u0000"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"', b'"\\udc00\\ud800"', b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b"[" * 16 + b"]" * 16,
    b"[" * 500 + b"]" * 500,
)
PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b"e", b".", b"1", b" ", b"\n", b"\x00", b"\x7f", b"\x80", b"\xc3", b"\xed\xa0\x80",
          b"\\u", b"\\ud83d", b"true", b"null", b"\xef\xbb\xbf", b"/", b"'"]

NODE = """
const lines = require("fs").readFileSync(0, "latin1").split("\\n").filter((line) => line !== "=");
lines.pop();
for (const line of lines) {
  let verdict = "sound";
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(line, "base64")));
  } catch {
    verdict = "unsound";
  }
  console.log(verdict);
}
"""


def around(value):
    """A registration with the value under a key that nobody knows, which is only a warning."""
    return b'{"instance":{"name":"web-1"},"token":"try-out","x":' + value + b"}"


def spoil(dice, document):
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(document) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            document = document[:at] + dice.choice(PIECES) + document[at:]
        elif kind == 1:
            document = document[:at] + document[at + dice.randrange(1, 4):]
        elif kind == 2:
            end = at + dice.randrange(8)
            document = document[:end] + document[at:end] + document[end:]
        else:
            document = document[:at] + bytes([dice.randrange(256)]) + document[at + 1:]
    return document


def refuse_constant(name):
    raise ValueError(name)


def disputed(document):
    """Duplicate keys, NUL, half a surrogate, nesting too deep: JSON for some, refused by us. None:
    it is no JSON for Python either."""
    twice = []

    def pairs(members):
        if len({key for key, _ in members}) < len(members):
            twice.append(True)
        return members

    try:
        tree = json.loads(document.decode("utf-8"), object_pairs_hook=pairs, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    halves, deepest = [], [0]

    def walk(value, depth):
        deepest[0] = max(deepest[0], depth)
        if isinstance(value, str):
            halves.extend(c for c in value if c == "\0" or "\ud800" <= c <= "\udfff")
        elif isinstance(value, (list, tuple)):
            for one in value:
                walk(one, depth + isinstance(value, list))

    walk(tree, 0)
    return bool(twice or halves or document.count(b"[") + document.count(b"{") > 16)


class Json(kit.Case):
    def setUp(self):
        super().setUp()
        self.client = self.server().client()
        self.addCleanup(self.client.close)

    def verdict(self, document):
        """Whether it is JSON to us. What is wrong with its content comes after that, or with it."""
        answer = self.client.post("/inventory/register", document)
        if answer.status in (200, 201):
            return True
        self.assertIn(answer.status, (400, 401), answer)
        if answer.json()["code"] == "bad_json":
            self.assertRegex(answer.json()["detail"], r"at byte \d+")
            return False
        return None  # it was refused for what it says, before its end was seen

    def test_the_table(self):
        for expected, values in ((True, SOUND), (False, UNSOUND), (False, DISPUTED)):
            for value in values:
                with self.subTest(value=value[:60]):
                    self.assertIs(expected, self.verdict(around(value)))

    def test_integers_are_exact_or_refused(self):
        self.verdict(around(b"0"))
        for text, status in ((b"9007199254740992", 200), (b"9007199254740993", 400), (b"1e2", 200), (b"1.5", 400), (b"1.0", 200),
                             (b"-1", 400), (b"18446744073709551616", 400), (b"1e999", 400), (b"100000000000000000000000e-20", 400)):
            with self.subTest(text=text):
                answer = self.client.patch("/inventory/instances/web-1", b'{"observed_term":' + text + b"}")
                self.assertIn(answer.status, (status, 400), answer)
                if status == 400:
                    self.assertEqual("/observed_term", answer.json()["errors"][0]["pointer"], answer)

    def test_spoilt_documents_are_judged_as_others_judge_them(self):
        dice = random.Random(SEED)
        bodies = [around(value) for value in (*SOUND, *UNSOUND, *DISPUTED)]
        bodies += [spoil(dice, dice.choice(bodies[:len(SOUND)])) for _ in range(SPOILT)]
        judged = self.node(bodies) or [disputed(body) is not None for body in bodies]
        taken = 0
        for body, is_sound in zip(bodies, judged, strict=True):
            mine = self.verdict(body)
            taken += mine is True
            if mine is True:
                self.assertTrue(is_sound, body)
            elif mine is False and is_sound and disputed(body) is False:
                self.fail(f"refused, though sound: {body}")
        self.assertGreater(taken, 50)

    def node(self, bodies):
        program = shutil.which("node")
        if not program:
            print("node is not installed: Python judges alone", flush=True)
            return None
        text = "".join(base64.b64encode(body).decode() + "\n" for body in bodies)
        done = subprocess.run([program, "-e", NODE], input=text, capture_output=True, text=True, check=True,
                              timeout=kit.HANG_S)
        return [line == "sound" for line in done.stdout.split()]


if __name__ == "__main__":
    kit.main()
