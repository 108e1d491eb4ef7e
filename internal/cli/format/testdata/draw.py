#!/usr/bin/env python3
"""Ask the real prettytable how it draws tables, and write down its answers.

    python3 draw.py > prettytable.json
"""
import json

from prettytable import PrettyTable

CASES = [
    dict(name="empty", header=["A", "Long name"], rows=[], right=[]),
    dict(name="one", header=["A"], rows=[["x"]], right=[]),
    dict(name="wide header", header=["Disabled Reason", "B"], rows=[["x", "yyyyyy"], ["", "-"]], right=[]),
    dict(name="numbers", header=["Name", "Hosts", "Down"], rows=[["a", "1", "1000"], ["b", "20", "3"]], right=[1, 2]),
    dict(name="several lines", header=["A", "B", "C"], rows=[["1\n2\n3", "x", "y\nz"], ["4", "", "\n"]], right=[1]),
    dict(name="accents", header=["Höst", "e\u0301"], rows=[["stör6@ünï", "cafe\u0301"]], right=[]),
    dict(name="wide letters", header=["A", "B"], rows=[["日本語", "x"], ["한국어", "ﾊﾝｶｸ"], ["全角！", "ascii"]], right=[1]),
    dict(name="pictures", header=["A"], rows=[["🔥"], ["x"]], right=[]),
    dict(name="spaces are kept", header=["A"], rows=[["  x  "], ["longer than that"]], right=[]),
    dict(name="borders inside", header=["A|B"], rows=[["+--+"], ["| x |"]], right=[]),
]

for c in CASES:
    t = PrettyTable(c["header"])
    t.align = "l"
    for i in c["right"]:
        t.align[c["header"][i]] = "r"
    t.add_rows(c["rows"])
    c["drawn"] = t.get_string() + "\n"
print(json.dumps(CASES, indent=1, ensure_ascii=False))
