#!/usr/bin/env python3
"""Ask the real oslo.config what it makes of files, and write down its answers.

    python3 oslo.py > oslo.json

Each case is a list of files, an environment, options with their defaults, and
questions: (group, option, multi). The answer to a question is a string, a list
of strings, null (no value) or {"error": its class}. A file that cannot be read
makes one error for the case. Cases where we differ on purpose say why in
"differs" and what we answer in "ours".
"""
import json
import os
import tempfile

from oslo_config import cfg

CASES = []


def case(name, *files, ask=(("DEFAULT", "a"),), env=None, defaults=(), ours=None, differs=None):
    """defaults are (group, option, default); every option asked is registered too."""
    CASES.append(dict(name=name, files=list(files), env=env or {}, ask=[list(q) + [False] * (3 - len(q)) for q in ask],
                      defaults=[list(d) for d in defaults], ours=ours, differs=differs))


def one(name, body, **more):
    """A file with [DEFAULT] above the body."""
    case(name, "[DEFAULT]\n" + body, **more)


A_B = (("DEFAULT", "a"), ("DEFAULT", "b"))
MULTI = (("DEFAULT", "a", True),)

# Assignments.
for i, line in enumerate([
    "a=1", "a = 1", "a:1", "a : 1", "a = x:y", "a : x=y", "a=b=c", "a:b:c", "a = ", "a =", "a:", "a=  spaced out  ",
    "a=\ttab\t", "a = x # not a comment", "a = x ; not a comment", "a = http://h:1/?x=1#frag", "a = [x]", "a == x",
    "a = = x", "a =: x", "a := x", "a = \\", "a = x\\", "a\t=\tx", "a = \u00e9t\u00e9", "a = \u00a0x\u00a0", "a = x\u3000", "a=\x0bx\x0c",
    "a=\x1cx\x1f", "a = \x00", "a", "a b", "= x", ": x", "  = x", "==", "A = x", "a.b = x", "a = x\x85",
]):
    one(f"line {i}: {line!r}", line + "\n")

# Quotes.
for i, value in enumerate([
    '"x"', "'x'", '"x', 'x"', "'x\"", '"', "'", '""', "''", '"""', '"a" "b"', "'a' 'b'", '" x "', '"x" ', ' "x"', '""x""', "\"'x'\"",
    '"x" # c', "`x`", "\"x'", "'\"'", "\u201cx\u201d", '"a = 1"', "'\u00e9'",
]):
    one(f"quotes {i}: {value}", f"a = {value}\n")

# Comments and blank lines.
one("comment #", "# a = 0\na = 1\n# a = 2\n")
one("comment ;", "; a = 0\na = 1\n;a = 2\n")
one("comment #!", "#!/x\na = 1\n")
one("indented comment continues", "a = 1\n  # more\n")
one("indented comment after blank", "a = 1\n\n  # more\n")
one("comment first thing", "#\n;\n\n\na = 1\n")
one("spaces only line", "a = 1\n   \nb = 2\n", ask=A_B)
one("tabs only line", "a = 1\n\t\t\nb = 2\n", ask=A_B)
one("no newline at the end", "a = 1")
one("empty file section", "")
case("empty file", "")
case("comments alone", "# nothing\n; here\n")
case("blank lines alone", "\n\n \n")

# Continuations.
one("continuation by spaces", "a = 1\n  2\n  3\nb = 4\n", ask=A_B)
one("continuation by tab", "a = 1\n\t2\n", ask=A_B)
one("continuation of an empty value", "a =\n  1\n  2\n")
one("continuation of a quoted value", "a = \"1\"\n  \"2\"\n")
one("continuation in quotes", "a = \"1\n  2\"\n")
one("continuation that looks like an assignment", "a = 1\n  b = 2\n", ask=A_B)
one("continuation that looks like a section", "a = 1\n  [x]\n", ask=(("DEFAULT", "a"), ("x", "b")))
one("continuation keeps inner space", "a = 1\n  2  3  \n")
one("continuation after blank line", "a = 1\n\n  2\n")
one("continuation after spaces line", "a = 1\n  \n  2\n")
one("continuation after comment", "a = 1\n# c\n  2\n")
one("continuation after section", "  a = 1\n")
case("continuation first thing", "  [DEFAULT]\na = 1\n")
one("continuation by no-break space", "a = 1\n\u00a02\n")
one("continuation by vertical tab", "a = 1\n\x0b2\n")
one("continuation of several values", "a = 1\n  2\na = 3\n  4\n", ask=MULTI)
one("continuation at the end", "a = 1\n  2")

# Sections.
for i, header in enumerate(["[x]", "[X]", "[ x ]", "[x] ", "[x", "[]", "[ ]", "[x]]", "[[x]]", "[x]y", "[x] # c", "[x];", "[x y]", "[x=y]", "[x:y]", "x]",
                            "[x\ty]", "[\u00dc]", "[DEFAULT ]"]):
    case(f"section {i}: {header!r}", f"{header}\na = 1\n",
         ask=(("x", "a"), ("X", "a"), (" x ", "a"), ("x]", "a"), ("[x]", "a"), ("x y", "a"), ("DEFAULT", "a")))
case("section default is not DEFAULT", "[default]\na = 1\n", ask=(("DEFAULT", "a"), ("default", "a")))
case("section Default is default", "[Default]\na = 1\n[default]\nb = 2\n", ask=(("default", "a"), ("default", "b"), ("DEFAULT", "a")))
case("section case is ignored", "[Ab]\na = 1\n[aB]\na = 2\n", ask=(("ab", "a"), ("AB", "a"), ("Ab", "a", True)))
case("section twice", "[x]\na = 1\n[y]\na = 2\n[x]\nb = 3\n", ask=(("x", "a"), ("x", "b"), ("y", "a")))
case("section twice, same key", "[x]\na = 1\n[y]\n[x]\na = 3\n", ask=(("x", "a"), ("x", "a", True)))
case("section interrupts a value", "[x]\na = 1\n[y]\n  2\n", ask=(("x", "a"),))
case("no section", "a = 1\n")
case("no section, then one", "a = 1\n[DEFAULT]\n")
case("no section, comment above", "# c\n\na = 1\n")
case("option of another section", "[x]\na = 1\n[DEFAULT]\nb = 2\n", ask=(("DEFAULT", "a"), ("x", "b")))

# Repeats and several files.
one("repeat, single", "a = 1\na = 2\na = 3\n")
one("repeat, multi", "a = 1\na = 2\na = 1\n", ask=MULTI)
one("repeat with blank", "a = 1\na =\n")
one("repeat, empty ones", "a =\na = 1\na =\n", ask=MULTI)
case("files: later wins", "[DEFAULT]\na = 1\nb = 1\n", "[DEFAULT]\na = 2\n", ask=A_B)
case("files: repeats in both", "[DEFAULT]\na = 1\na = 2\n", "[DEFAULT]\na = 3\na = 4\n", ask=(("DEFAULT", "a"),))
case("files: multi in order", "[DEFAULT]\na = 1\na = 2\n", "[DEFAULT]\na = 3\n", "[DEFAULT]\na = 4\n", ask=MULTI)
case("files: earlier after later", "[DEFAULT]\na = 1\n", "[x]\na = 2\n", ask=(("DEFAULT", "a"), ("x", "a")))
case("files: section case", "[x]\na = 1\n", "[X]\na = 2\n", ask=(("x", "a"), ("x", "a", True)))
case("files: same twice", "[DEFAULT]\na = 1\n", "[DEFAULT]\na = 1\n", ask=MULTI)
case("files: one is broken", "[DEFAULT]\na = 1\n", "[DEFAULT\na = 2\n")
case("files: continuation does not cross", "[DEFAULT]\na = 1\n", "  2\n")
case("files: section does not cross", "[DEFAULT]\na = 1\n", "a = 2\n")

# Line ends and encodings.
one("crlf", "a = 1\r\nb = 2\r\n", ask=A_B)
one("cr", "a = 1\rb = 2\r", ask=A_B)
one("crlf and blank", "a = 1\r\n\r\nb = 2\r\n", ask=A_B)
one("crlf continuation", "a = 1\r\n  2\r\n")
one("form feed inside", "a = 1\x0c2\n")
one("line separator inside", "a = 1\u20282\n")
one("next line inside", "a = 1\x852\n")
case("byte order mark", "\ufeff[DEFAULT]\na = 1\n")
case("byte order mark and comment", "\ufeff# c\n[DEFAULT]\na = 1\n")

# Substitution.
one("substitute", "a = $b\nb = 1\n", ask=A_B)
one("substitute braces", "a = x${b}y\nb = 1\n", ask=A_B)
one("substitute twice", "a = $b$b/$b\nb = 1\n", ask=A_B)
one("substitute chain", "a = $b\nb = $c\nc = 1\n", ask=(("DEFAULT", "a"), ("DEFAULT", "c")), defaults=(("DEFAULT", "b", None),))
one("substitute default", "a = $b/x\n", defaults=(("DEFAULT", "b", "/var"),))
one("substitute in a default", "b = 1\n", defaults=(("DEFAULT", "a", "x$b"),), ask=A_B)
one("substitute no value", "a = x${b}y\n", ask=A_B)
one("substitute empty", "a = x${b}y\nb =\n", ask=A_B)
one("substitute last of repeats", "a = $b\nb = 1\nb = 2\n", ask=A_B)
one("substitute unknown", "a = $nope\n")
one("substitute unknown in braces", "a = ${nope}\n")
one("substitute unregistered though set", "a = $c\nc = 1\n", differs="any option of the file can be referred to: we know few of a service's options", ours=["1"])
one("substitute from environment", "a = $b\nb = 1\n", ask=A_B, env={"OS_DEFAULT__B": "env"})
one("substitute in environment", "b = 1\n", ask=A_B, env={"OS_DEFAULT__A": "x$b"})
one("substitute in multi", "a = $b\na = x\nb = 1\n", ask=(("DEFAULT", "a", True), ("DEFAULT", "b")))
one("substitute in continuation", "a = 1\n  $b\nb = 2\n", ask=A_B)
one("substitute a continuation", "a = $b\nb = 1\n  2\n", ask=A_B)
one("substitute from quotes", "a = '$b'\nb = \" 1 \"\n", ask=A_B)
one("case of a name matters", "a = $B\nb = 1\nB = 2\n", ask=(("DEFAULT", "a"), ("DEFAULT", "b"), ("DEFAULT", "B")))
for i, value in enumerate(["$$", "$$b", "$$$b", "$$$$b", "\\$b", "\\\\$b", "\\$$b", "$", "x$", "$ b", "$1", "${", "${}", "${b", "${ b }", "${1}", "$-b", "$b-c", "$b_", "$b1",
                           "$b$", "${b}}", "${{b}}", "$(b)", "%(b)s", "$\u00e9", "$_b", "$b\u00e9", "5$", "$5.00", "$$ $b $$", "${b}.x", "$b:$b", "\\", "\\\\", "\\n",
                           "$b/$", "\\${b}", "$${b}", "$b$$"]):
    one(f"dollar {i}: {value}", f"a = {value}\nb = 1\n", ask=A_B,
        defaults=(("DEFAULT", "b_", "under"), ("DEFAULT", "b1", "one")))
GROUPS = "[DEFAULT]\na = top\n[x]\na = in x\nb = $a\nc = $d\nf = $x.a\ng = ${y.a}\n[y]\na = in y\n"
REGISTERED = (("DEFAULT", "a", None), ("DEFAULT", "d", "top d"), ("x", "a", None), ("y", "a", None))
case("groups", GROUPS, ask=[("x", n) for n in "abcfg"], defaults=REGISTERED)
case("group of a default", "[x]\nb = $a\n[DEFAULT]\na = 1\n", ask=(("x", "b"),), defaults=(("DEFAULT", "a", None), ("x", "a", "x's")))
case("group with unset option", "[x]\nb = <$a>\n[DEFAULT]\na = 1\n", ask=(("x", "b"),), defaults=(("DEFAULT", "a", None), ("x", "a", None)))
case("dotted name in DEFAULT", "[DEFAULT]\na = $x.b\n[x]\nb = 1\n", ask=(("DEFAULT", "a"), ("x", "b")))
case("dotted name, group's case", "[DEFAULT]\na = $X.b\n[x]\nb = 1\n", ask=(("DEFAULT", "a"), ("x", "b")),
     differs="a section's case is ignored here as everywhere else", ours=["1", "1"])
case("dotted name, unknown group", "[DEFAULT]\na = $nope.b\n")
case("dotted name, unknown option", "[DEFAULT]\na = $x.nope\n[x]\nb = 1\n", ask=(("DEFAULT", "a"), ("x", "b")))
case("dotted name at the end of a sentence", "[DEFAULT]\na = $b.\nb = 1\n", ask=A_B)
case("braces keep the dot out", "[DEFAULT]\na = ${b}.\nb = 1\n", ask=A_B)
case("group instead of option", "[DEFAULT]\na = $x\n[x]\nb = 1\n", ask=(("DEFAULT", "a"), ("x", "b")))
case("relative to the group that is read", "[x]\nb = $c\nc = $a\na = x's\n[y]\nb = $x.c\na = y's\n",
     ask=(("x", "b"), ("y", "b")), defaults=(("x", "a", None), ("x", "c", None), ("y", "a", None)))
one("circle of one", "a = $a\n")
one("circle of two", "a = $b\nb = $a\n", ask=A_B)
one("circle of three", "a = x$b\nb = y$c\nc = z$a\n", ask=(("DEFAULT", "a"), ("DEFAULT", "b"), ("DEFAULT", "c")))
one("escaped circle is none", "a = $$a\n")
case("DEFAULT by its name", "[DEFAULT]\na = 1\n[x]\na = ${DEFAULT.a}2\n", ask=(("DEFAULT", "a"), ("x", "a")),
     differs="[DEFAULT] can be named like any other group", ours=["1", "12"])

# The environment.
one("environment wins", "a = 1\n", env={"OS_DEFAULT__A": "env"})
case("environment alone", "", env={"OS_DEFAULT__A": "env"})
case("environment of a group", "[x_y]\nb = 1\n", env={"OS_X_Y__B": "env"}, ask=(("x_y", "b"),))
one("environment, lower case", "a = 1\n", env={"os_default__a": "env", "OS_DEFAULT__a": "env2", "OS_default__A": "env3"})
one("environment, one underscore", "a = 1\n", env={"OS_DEFAULT_A": "env", "OS__A": "env2", "DEFAULT__A": "env3"})
one("environment, empty", "a = 1\n", env={"OS_DEFAULT__A": ""})
one("environment keeps quotes and space", "a = 1\n", env={"OS_DEFAULT__A": " 'x' "})
one("environment over repeats", "a = 1\na = 2\n", env={"OS_DEFAULT__A": "env"})
one("environment over a multi option", "a = 1\na = 2\n", env={"OS_DEFAULT__A": "xy"}, ask=MULTI,
    differs="the library takes the letters apart; we take the value as one", ours=[["xy"]])
case("environment, mixed group", "[Ab]\na = 1\n", env={"OS_AB__A": "env"}, ask=(("Ab", "a"), ("ab", "a")))
case("environment, dash", "[a-b]\na = 1\n", env={"OS_A-B__A": "env"}, ask=(("a-b", "a"),))


def answer(c):
    for name, value in c["env"].items():
        os.environ[name] = value
    try:
        with tempfile.TemporaryDirectory() as d:
            names = []
            for i, body in enumerate(c["files"]):
                names.append(os.path.join(d, f"{i}.conf"))
                with open(names[-1], "wb") as f:
                    f.write(body.encode())
            return [answer_one(c, names, q) for q in c["ask"]]
    except cfg.ConfigFileParseError as e:
        return {"error": type(e).__name__}
    finally:
        for name in c["env"]:
            del os.environ[name]


def answer_one(c, names, question):
    group, option, multi = question
    conf = cfg.ConfigOpts()
    for g, o, d in c["defaults"]:
        register(conf, g, cfg.StrOpt(o, default=d))
    for g, o, m in c["ask"]:
        if [g, o, m] == question or (o != option or g != group):
            try:
                register(conf, g, cfg.MultiStrOpt(o) if m else cfg.StrOpt(o))
            except cfg.DuplicateOptError:
                pass  # has a default
    conf(args=[], default_config_files=names, default_config_dirs=[])
    try:
        found = conf if group == "DEFAULT" else conf[group]
        return found[option]
    except RecursionError:
        return {"error": "RecursionError"}
    except cfg.Error as e:
        return {"error": type(e).__name__}


def register(conf, group, opt):
    conf.register_opt(opt, group=None if group == "DEFAULT" else group)


for c in CASES:
    c["answers"] = answer(c)
print("[")
print(",\n".join(json.dumps({k: v for k, v in c.items() if v not in ({}, None) or k == "answers"}) for c in CASES))
print("]")
