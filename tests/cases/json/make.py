"""Writes cases.jsonl: small texts, and what Python's json module makes of them.

Each line: form (text: json.loads(str), bytes: json.loads(bytes)), hex (the bytes), value (as `render` writes it, which
the test does too; null where Python refuses it). Integers past 64 bits are rendered as the double nearest to them.
"""
import json, struct

def bits(x):
    return "f" + struct.pack(">d", x).hex()

def render(v):
    if v is None: return "n"
    if v is True: return "t"
    if v is False: return "F"
    if isinstance(v, int):
        if -2**63 <= v < 2**64: return "i%d" % v
        try: return bits(float(v))
        except OverflowError: return bits(float("inf") if v > 0 else float("-inf"))
    if isinstance(v, float): return "fnan" if v != v else bits(v)
    if isinstance(v, str): return "s" + v.encode("utf-8", "surrogatepass").hex()
    if isinstance(v, list): return "[" + ",".join(map(render, v)) + "]"
    items = sorted((k.encode("utf-8", "surrogatepass"), v[k]) for k in v)
    return "{" + ",".join("s%s:%s" % (k.hex(), render(x)) for k, x in items) + "}"

texts = []
numbers = """0 -0 1 -1 01 -01 00 1. .5 1.5 -1.5 +1 1e5 1E5 1e+5 1e-5 1e 1e+ 1.e5 1.5e3 0e5 -0.0 0.0e-9 - -- 1_000 0x10 1e999
-1e999 1e-999 -1e-999 1e308 1.7976931348623157e308 1.7976931348623159e308 5e-324 2e-324 4.9406564584124654e-324
2.2250738585072011e-308 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808
-9223372036854775809 18446744073709551615 18446744073709551616 123456789012345678901234567890 0.1 0.30000000000000004
1e22 1e23 123456789.123456789e-30 0e999999999999 1e99999999999999 1e-99999999999999 0.00001e309 1000e306
NaN -NaN nan Infinity -Infinity +Infinity infinity -infinity Inf NaN1 Infinit true True false False null None tru nul
undefined 1,2 1;2 ٣ １ 1e٣ 1l 1.5f -true""".split()
texts += numbers + [" %s " % n for n in numbers[:8]] + ["[%s]" % n for n in numbers] + ["[" + "9" * 4300 + "]", "[" + "9" * 4301 + "]", "[-" + "9" * 4301 + "]",
          "1" + "0" * 400, "0." + "0" * 400 + "1", "0." + "0" * 400 + "1e402"]
strings = [r'"a"', r'""', r'"\n\t\r\b\f\/\\\""', r'"\a"', r'"\v"', r'"\x41"', r'"\0"', r'"\'"', r'"\u0041"', r'"\u004"', r'"\u 041"', r'"\u-041"',
           r'"\u+041"', r'"\U0041"', r'"\u00E9\u00e9"', r'"\ud83d\ude00"', r'"\ud83d"', r'"\ude00"', r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"',
           r'"\ud83dx"', r'"\ud83d\n"', r'"\ud83d\u0041"', r'"\ud83d\u00"', r'"\ud83d\u"', r'"\ud83d\"', '"\\', '"', '"abc', "'a'", '"a\nb"', '"a\tb"',
           '"a\x00b"', '"a\x1fb"', '"a\x7fb"', '"\u0085\u2028"', '"é日本😀"', r'"\u0000"', r'"<\u0021--"', '"\ufeff"', '"\uffff"', '"\U0010ffff"', '"a" "b"', '"a"b"',
           r'"\uD834\uDD1E"', r'"\u12345"', r'"\uzzzz"', '"\\\n"', '`a`', '"a', r'"\ud83d\\ude00"', "\"it's\""]
texts += strings + ["{%s: 1}" % s for s in strings[:24]]
texts += ["", " ", "\t\n\r ", "\x0c1", "\u00a01", "1\u00a0", "\x0b1", "\ufeff1", "\ufeff", "1\ufeff", "[]", "[ ]", "[,]", "[1,]", "[1,,2]", "[1 2]", "[1", "[", "]", "[]]",
          "[[],[[]]]", "{}", "{ }", "{,}", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', '{a:1}', "{1:2}", '{"a":1', '{"a"', "{", "}", '{"a":1}}', '{"a":1,"a":2}',
          '{"a":{"b":1},"a":3,"b":4}', '{"\\u0061":1,"a":2}', '{"":0}', '{"a":NaN,"b":[-Infinity]}', '{"b":1,"a":2}', '{"a" : 1 , "b" : 2 }', '{"a":1}\n', '{"a":1}\x00', "//x\n1",
          "/*x*/1", "1 //x", "#1", "[1]x", "true false", "[true,false,null]", '{"a":true,}', '{"a"=1}', "(1)", '{"a":1;"b":2}', '{"a":1}{"b":2}', "[" * 400 + "]" * 400, "[" * 100000,
          '{"a":' * 100000, "[" * 100000 + "]" * 100000]
rows = []
def add(form, data, read):
    try: value = render(read())
    except (ValueError, RecursionError): value = None
    rows.append({"form": form, "hex": data.hex(), "value": value})
for t in dict.fromkeys(texts):
    if len(t) > 50000: continue  # in the test's own words
    add("text", t.encode(), lambda: json.loads(t))
wide = ['{"a":[1,"é😀"]}', "1", "12", "[]", '"\ud800"', "", '"\udc00\ud800"', "NaN", "\ufeff1"]
for t in wide:
    for code in "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be":
        data = t.encode(code, "surrogatepass")
        add("bytes", data, lambda: json.loads(data))
        if len(data) > 3: add("bytes", data[:-1], lambda: json.loads(data[:-1]))
for data in [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xf4\x90\x80\x80"', b'"\xe9t\xe9"', b'"\xf0\x9f\x98"', b"\xff1", b"\xfe\xff", b"\xff\xfe",
             b"\0", b"\0\0", b"1\0", b"\0001", b"\xef\xbb\xbf", b"\xef\xbb1", b'"\xc3\xa9"', b"\xe2\x80\xa81"]:
    add("bytes", data, lambda: json.loads(data))
    add("text", data, lambda: json.loads(data.decode("utf-8")))
with open("cases.jsonl", "w") as out:
    for row in rows: out.write(json.dumps(row) + "\n")
