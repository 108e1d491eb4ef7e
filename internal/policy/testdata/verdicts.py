#!/usr/bin/env python3
"""Ask the real oslo.policy for verdicts, and write them down.

    python3 verdicts.py > verdicts.json               # what the tests compare with
    python3 verdicts.py --random 20000 > more.json    # VERDICTS=more.json go test -run Random .

A case: rules (as in a policy file), or files (a list of texts: the policy file,
then a directory's), the caller's attributes, the target, options, defaults
([name, check, scope types, [old name, old check]]), and the rule asked for. The
caller and the target are those at the top where a case has none. The
verdict is allow, deny or error (an exception, when the file is read or when the
rule is evaluated). Where we differ on purpose, "ours" is our verdict and
"differs" says why.
"""
import json
import logging
import os
import random
import sys
import tempfile
import warnings

from oslo_config import cfg
from oslo_policy import opts
from oslo_policy import policy

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

CALLER = {
    "user_id": "u1", "user_domain_id": "default", "system_scope": None, "domain_id": None, "project_id": "p1",
    "project_domain_id": "default", "roles": ["Admin", "member", "reader"], "is_admin_project": True, "is_admin": False,
    "service_user_id": None, "service_roles": [],
}
NESTED = dict(CALLER, token={"user": {"id": "u1", "tags": ["a", "b"], "n": 5}, "groups": [{"id": "g1"}, {"id": "g2"}], "deep": [["x"]]},
              text="it's", both="'\"", number=7, truth=True, nothing=None, empty=[], lists=[["a"], "b"])
TARGET = {"project_id": "p1", "user_id": "u2"}
CASES = []


def ask(case):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    opts._register(conf)
    for name, value in case.get("options", {}).items():
        conf.set_override(name, value, group="oslo_policy")
    with tempfile.TemporaryDirectory() as d:
        files = case.get("files")
        if files is None:
            files = [json.dumps(case["rules"])]
        path = os.path.join(d, "policy.yaml")
        if files[0] is not None:
            with open(path, "w") as f:
                f.write(files[0])
        os.mkdir(os.path.join(d, "policy.d"))
        for i, text in enumerate(files[1:]):
            with open(os.path.join(d, "policy.d", "%d.yaml" % i), "w") as f:
                f.write(text)
        conf.set_override("policy_file", path, group="oslo_policy")
        conf.set_override("policy_dirs", [os.path.join(d, "policy.d")], group="oslo_policy")
        try:
            e = policy.Enforcer(conf)
            for name, check, scopes, old in case.get("defaults", []):
                e.register_default(policy.RuleDefault(
                    name, check, scope_types=scopes,
                    deprecated_rule=policy.DeprecatedRule(old[0], old[1], deprecated_reason="x", deprecated_since="y") if old else None))
            caller = json.loads(json.dumps(case["caller"]))
            return "allow" if e.enforce(case["ask"], dict(case["target"]), caller) else "deny"
        except (Exception, RecursionError):
            return "error"


def case(name, rules=None, rule="x", caller=CALLER, target=TARGET, ours=None, differs=None, **more):
    if rules is not None and not isinstance(rules, dict):
        rules = {"x": rules}
    c = dict(name=name, caller=caller, target=target, ask=rule, **more)
    if rules is not None:
        c["rules"] = rules
    c["want"] = ask(c)
    if ours:
        c["ours"], c["differs"] = ours, differs
    CASES.append(c)


def texts(about, *rules, **more):
    """Each rule, and what is wrong under a "not" and beside what passes."""
    for r in rules:
        case("%s: %s" % (about, r), r, **more)


def wrapped(about, *rules, **more):
    for r in rules:
        case("%s: %s" % (about, r), {"a": r, "x": "rule:a"}, **more)
        case("%s: not %s" % (about, r), {"a": r, "x": "not rule:a"}, **more)
        case("%s: %s or @" % (about, r), {"a": r, "x": "rule:a or @"}, **more)


def cases():
    texts("constant", "@", "!", "", " ", "\t", "@ or !", "@ and !", "not !", "not @", "not not @", "not not not @", "!!", "@@", "@ @", "! !")
    texts("operators", "@ and @ and !", "! or ! or @", "@ or ! and !", "! and ! or @", "! or @ and @ and !", "@ and ! or ! and @ or @", "not ! and !",
          "not @ or @", "@ AND @", "@ And !", "! OR @", "NOT !", "Not Not @", "@ and not !", "! or not !", "@ or not @ and !", "not ! or ! and @",
          "! or @ and not !", "@ or @ and @ or !")
    texts("parentheses", "(@)", "( @ )", "((@))", "(@ or !) and !", "! and (! or @)", "not (@ and !)", "not(@)", "not (@)", "(not @)", "(@ or @) and (@ or !)",
          "( ( @ ) or ( ! ) )", "(@) (@)", "()", "( )", "(", ")", "(@", "@)", "((@)", "(@))", ")@(", "@ and (", "(@ and", "@ (and) @", "( @ or ) @",
          "(! or (@ and @)) and @", "! or (@ and @) and !", "((! or @) and @) or !", "(@ and @) and @", "(role:admin)", "((role:admin)or(role:x))",
          "(role:x)or(role:admin)")
    texts("unfinished", "and", "or", "not", "AND", "@ and", "and @", "@ or", "or @", "not and", "@ not", "@ not @", "@ and and @", "@ or or @", "@ and or @", "not not", "@ not and @",
          "role:admin and", "role:admin role:member", "role:admin, role:member", "role:admin & role:member", "role:admin||role:member")
    wrapped("alone", "and", "or", "not", "(", ")", "'a'", '"a"', "'a:b'", "'", "''", "'a", "a'", '"role:admin"', "('a')", "' '")
    wrapped("no check", "role", "admin", "nonsense", "role admin", "@role:admin", "!role:x", "True", "role:admin)x", "x(role:admin", "\u00fc", "%(x)s", "5")
    texts("spaces", " @ ", "  role:admin  ", "role:admin\nand\nrole:member", "role:admin\tor\trole:x", "@\u00a0and\u00a0@", "@\u3000or\u3000!", "@\x1cand\x1d@", "@\u200band @",
          "role: admin", "role :admin", "role:admin\r\n")
    texts("role", "role:admin", "role:ADMIN", "role:Admin", "role:adm", "role:administrator", "role:", "role:x", "role:%(project_id)s", "role:%(nosuch)s",
          "role:mem%(n)s", "ROLE:admin", "Role:admin", "role:admin:x", "role:'admin'", "role:*", "role:\u0130", "role::", "roles:admin", "roles:Admin", "roles:member")
    texts("role of unusual case", "role:STRASSE", "role:stra\u00dfe", "role:\u00c9T\u00c9", "role:\u212a", "role:k", caller=dict(CALLER, roles=["stra\u00dfe", "\u00e9t\u00e9", "K"]))
    texts("no roles", "role:admin", "not role:admin", "role:", caller={k: v for k, v in CALLER.items() if k != "roles"})
    texts("empty role", "role:", "role:%(empty)s", caller=dict(CALLER, roles=[""]), target={"empty": ""})
    texts("attribute", "user_id:u1", "user_id:u2", "user_id:U1", "USER_ID:u1", "project_id:p1", "project_id:%(project_id)s", "user_id:%(user_id)s", "domain_id:None",
          "domain_id:", "domain_id:none", "system_scope:all", "system:all", "is_admin:True", "is_admin:False", "is_admin:true", "is_admin:0", "is_admin_project:True",
          "is_admin_project:1", "tenant:p1", "nosuch:None", "nosuch:", "service_roles:x", "service_roles:None", "service_user_id:None", "user_id:u1:u1", "user_id: u1",
          "user_id:u1 and project_id:p1", "user_id:u1) and (project_id:p1")
    texts("system", "system_scope:all", "system:all", "system:%(s)s", caller=dict(CALLER, system_scope="all"), target={"s": "all"})
    texts("path", "token.user.id:u1", "token.user.id:x", "token.user.tags:a", "token.user.tags:b", "token.user.tags:c", "token.groups.id:g2", "token.groups.id:g3",
          "token.groups.nosuch:g2", "token.nosuch.id:u1", "token.user.n:5", "token:x", "token.user:x", "text:it's", "number:7", "truth:True", "nothing:None", "empty:None",
          "empty:[]", "lists:b", "lists:a", "lists:['a']", "token.deep:['x']", "token.deep:x", "token.user.tags:['a', 'b']", caller=NESTED)
    wrapped("path into nothing", "user_id.x:y", "nothing.x:y", "truth.x:y", "number.x:y", "roles.x:y", "token.user.id.x:y", "token.user.tags.x:y", "empty.x:y", "token.deep.x:y", caller=NESTED)
    wrapped("left side", "'u1':u1", "'p1':%(project_id)s", '"p1":%(project_id)s', "'x':%(project_id)s", "True:True", "False:False", "None:None", "True:%(yes)s", "None:%(no)s",
            "1:1", "1:01", "01:1", "-1:-1", "+1:1", "--1:1", "~1:-2", "-0:0", "1.0:1.0", "1.0:1", "1.:1.0", ".5:0.5", "1e3:1000.0", "1e16:1e+16", "1e-5:1e-05",
            "1e400:inf", "0x10:16", "0o17:15", "0b11:3", "1_000:1000", "1__0:10", "00:0", "007:7", "0.1e1:1.0", "123456789012345678901234567890:123456789012345678901234567890",
            "-1.5:-1.5", "-True:-1", "1+1:2", "a-b:c", "a/b:c", "user-id:u1", "1a:b", "a..b:c", ".a:b", "a.:b", "a.1:b", "a.b.c:d", "class:x", "is:x", "a.class:x", "lambda:x",
            "a b:c", "$a:b", "a$:b", "a?:b", "a!:b", "@a:b", "!a:b", ":a", "::", ":", "\u00e9:x", "\u00fc.\u00e4:x", "a\u0301:x", "\u0661:x", "r'a':a", "u'a':a", "R\"a\\n\":a\\n", "'a''b':ab", "'a\\x41':aA",
            "'\\u00e9':\u00e9", "'\\101':A", "'\\q':\\q", "'a:b", "'a:b':x", "'a", "'''a''':a", "'a'b:a", "'a'.b:a", "True.x:a", "a.True:a", "True1:True", "_:x", "__a1:x", "a=b:c", "a==b:c", "a<b:c", "a,b:c",
            "a;b:c", "a#b:c", "\\a:b", "`a`:b", "''':x", "*a:b", "a**b:c", "a//b:c", "a<<b:c", "a^b:c", "a|b:c", "a&b:c", "a%b:c", "a->b:c", "1.2.3:x", "1.e5:100000.0", "1e:x", "0x:x", "1and:x",
            target=dict(TARGET, yes=True, no=None))
    for r, why in [("[]:[]", "list"), ("{}:{}", "dictionary"), ("[1]:[1]", "list"), ("a(b):c", "call"), ("a[0]:b", "subscript"), ("b'a':b'a'", "bytes"), ("f'a':a", "f-string"), ("1j:1j", "complex number"), ("...:Ellipsis", "ellipsis")]:
        case("left side: %s" % r, r, ours="error", differs="a %s is no left side: it denies" % why)
    texts("template", "user_id:%(user_id)s", "'u2':%(user_id)s", "'p1u2':%(project_id)s%(user_id)s", "'<p1>':<%(project_id)s>", "'p1':%(project_id)10s", "'p1':%(project_id)-2s", "'p':%(project_id).1s",
          "'':%(project_id).0s", "'p1':%(project_id)2s", "'u%':u%%", "'%(x)s':%%(x)s", "'p1':%(project_id)ls", "'None':%(none)s", "'True':%(true)s", "'7':%(seven)s", "'a.b':%(a.b)s",
          "'x':%(a(b))s", "x:%(nosuch)s", "'x':%()s", "'p1':%(project_id)#s", "'p1':%(project_id)+s", "'p1':%(project_id)0s", target=dict(TARGET, none=None, true=True, seven=7, **{"a.b": "a.b", "a(b)": "x", "": "x"}))
    wrapped("bad template", "user_id:%", "user_id:%(user_id)", "user_id:%(user_id", "user_id:%s%s", "user_id:%(user_id)q", "user_id:%d", "role:%", "role:%(user_id)z", "user_id:u1%", "user_id:%(nosuch)q",
            "user_id:%(nosuch", "x:%z", "1a:%(nosuch)s", "x:%(user_id)d")
    case("bad template: a list's repr", {"x": ["\"['u2']\":%(list)s"]}, target={"list": ["u2"]})
    case("template without a name: user_id:%s", "user_id:%s", ours="error", differs="it would be the whole target, as a text: it denies")
    texts("repr", "both:%(both)s", "text:%(text)s", caller=NESTED, target={"both": "'\"", "text": "it's"})
    for r in ["rule:a", "rule:b", "rule:c", "not rule:b", "rule:nosuch", "not rule:nosuch", "rule:", "rule:a or rule:nosuch", "rule:a and rule:b", "rule:%(a)s", "RULE:a", "rule:A", "rule:a:b"]:
        case("rule: %s" % r, {"a": "@", "b": "!", "c": "rule:a", "a:b": "@", "x": r})
    for d in ["@", "!", "rule:x", "rule:nosuch", "role:admin"]:
        case("default rule %s: asked for another" % d, {"default": d, "y": "@"})
        case("default rule %s: referred to" % d, {"default": d, "x": "rule:nosuch"})
    case("default rule by another name", {"mine": "@", "default": "!"}, options={"policy_default_rule": "mine"})
    case("default rule without a name", {"": "@", "default": "@"}, options={"policy_default_rule": ""})
    case("no rules", {})
    case("another rule", {"y": "@"})
    case("cycle of one", "rule:x")
    case("cycle of two", {"x": "rule:y", "y": "rule:x"})
    case("cycle behind what passes", {"x": "@ or rule:x"})
    case("cycle before what passes", {"x": "rule:x or @"})
    case("cycle under not", {"x": "not rule:x"})
    case("cycle by default", {"default": "rule:nosuch"})
    case("a long chain", dict({"r%d" % i: "rule:r%d" % (i + 1) for i in range(100)}, r100="role:admin", x="rule:r0"))
    case("a wide rule", " or ".join("role:r%d" % i for i in range(1000)) + " or role:admin")
    case("many parentheses", "(" * 200 + "@" + ")" * 200)
    case("many nots", "not " * 100 + "@")
    for v in [[], [[]], [[], []], ["@"], ["!"], [["@"]], [["@", "!"]], [["!"], ["@"]], [["@"], ["!"]], ["role:admin"], ["role:x", "role:admin"], [["role:x", "role:admin"]], [["role:admin", "role:member"]],
              [[], ["!"]], ["", "@"], [""], [None], [None, "@"], [[None]], [["@", None]], [[5]], [["@", ["@"]]], ["role:admin and role:x"], ["role:admin or role:x"], ["not role:x"], ["(role:admin)"], [" role:admin"],
              ["rule:nosuch"], ["and"], [["not", "@"]], ["'a'"], ["user id:u1"], ["'a b':a b"], ["%(x)s"], [["", "@"]], None, {}]:
        case("list: %s" % json.dumps(v), {"x": v})
    for v in [5, 1.5, True, [5], [True], [["@"], 5], [1.5, "@"]]:
        case("no rule: %s" % json.dumps(v), {"x": v})
    for v in [{"role:admin": 1}, {"@": "!"}, {"a": "@"}, [{}], [{}, "@"], [{"role:admin": 1}], [{"role:admin": 1, "role:x": 2}], [[{"role:admin": 1}]]]:
        case("mapping: %s" % json.dumps(v), {"x": v})
    for v in [0, False, 0.0]:
        case("nothing: %s" % json.dumps(v), {"x": v}, ours="error", differs="it reads like no and means yes: we deny")
    for v in [[0], [False], [0, "@"], [[], 0]]:
        case("nothing in a list: %s" % json.dumps(v), {"x": v}, ours="error", differs="a number or truth value is no check: the rule denies")
    files()
    scopes()


def files():
    def one(name, *texts, **more):
        case("file: " + name, files=list(texts), **more)
    one("yaml", "x: '@'\n")
    one("yaml with comments", "# about\n\"x\": \"role:admin\"  # who\n")
    one("nothing", "")
    one("comments alone", "# nothing\n")
    one("null", "null\n", defaults=[["x", "@", None, None]])
    one("json", '{"x": "@"}')
    one("json with tabs", '{\n\t"x": "role:admin"\n}\n')
    one("json, the last of two", '{"x": "!", "x": "@"}')
    one("yaml, the last of two", "x: '!'\nx: '@'\n")
    one("unquoted", "x: role:admin\n")
    one("unquoted with words", "x: role:admin or role:x\n")
    one("unquoted at", "x: @\n")
    one("empty value", "x:\n")
    one("tilde", "x: ~\n")
    one("unquoted exclamation mark", "x: !\n")
    one("no, unquoted", "x: no\n", ours="deny", differs="it reads like no and means yes: we deny")
    one("yes, unquoted", "x: yes\n", ours="deny", differs="Cinder would not start")
    one("number", "x: 5\n", ours="deny", differs="Cinder would not start")
    one("folded", "x: >\n  role:admin\n  and role:member\n")
    one("literal", "x: |\n  role:admin\n  and role:member\n")
    one("quoted over lines", "x: \"role:admin\n  and role:member\"\n")
    one("list", "x:\n- - role:x\n- - role:admin\n")
    one("flow list", "x: [[role:admin, role:member]]\n")
    one("anchor", "a: &r role:admin\nx: *r\n")
    one("merge", "base: &b {x: '@'}\n<<: *b\n", ours="allow", differs=None)
    one("merge under what is written", "base: &b {x: '@'}\n<<: *b\nx: '!'\n")
    one("number as a name", "5: '@'\nx: rule:5\n", ours="allow", differs="names are texts")
    one("sequence", "- x\n", defaults=[["x", "@", None, None]])
    one("text", "x\n", defaults=[["x", "@", None, None]])
    one("two documents", "x: '@'\n---\nx: '@'\n")
    one("bad indentation", "x: '@'\n y: '!'\n")
    one("less indentation later", " x: '@'\ny: '!'\n", defaults=[["x", "!", None, None]])
    one("text behind JSON", "{\"x\": \"@\"} x")
    one("text behind the end", "x: '@'\n...\ny\n")
    one("end", "---\nx: '@'\n...\n")
    one("unclosed", "{\"x\": \"@\"", defaults=[["x", "@", None, None]])
    one("a bad rule beside a good one", "y: 'role:admin and'\nx: '@'\n")
    one("a rule that is none beside a good one", '{"y": 5, "x": "@"}', ours="allow", differs="one bad rule spoils no other")
    one("byte order mark", "\ufeffx: '@'\n")
    one("directory over file", "x: '!'\n", "x: '@'\n")
    one("directory, by name", "x: '!'\n", "x: '@'\n", "x: '!'\n")
    one("directory adds", "x: rule:y\n", "y: '@'\n")
    one("directory alone", None, "x: '@'\n")
    one("bad file in the directory", "x: '@'\n", "- a\n")
    one("file over default", "x: '!'\n", defaults=[["x", "@", None, None]])
    one("default", "y: '!'\n", defaults=[["x", "@", None, None]])
    one("default refers to file", "y: '@'\n", defaults=[["x", "rule:y", None, None]])
    one("no file", None, defaults=[["x", "@", None, None]])


def scopes():
    on = {"enforce_scope": True}
    who = dict(project=CALLER, system=dict(CALLER, system_scope="all", project_id=None), domain=dict(CALLER, domain_id="d", project_id=None),
               both=dict(CALLER, system_scope="all", domain_id="d"))
    for kind, caller in who.items():
        for scope in (["system"], ["domain"], ["project"], ["system", "project"], None):
            case("scope: %s for %s" % (kind, scope), {}, defaults=[["x", "@", scope, None]], caller=caller, options=on)
    case("scope: not enforced", {}, defaults=[["x", "@", ["system"], None]])
    case("scope: of a rule from a file", {"x": "@"}, defaults=[["x", "!", ["system"], None]], options=on)
    case("scope: of a rule that is referred to", {}, defaults=[["y", "@", ["system"], None], ["x", "rule:y", None, None]], options=on)
    case("scope: by default rule", {"default": "@"}, defaults=[["default", "!", ["system"], None]], options=on)
    old = ["old", "role:admin"]
    new = {"enforce_new_defaults": True}
    for rules in ({}, {"old": "@"}, {"old": "!"}, {"old": "role:admin"}, {"old": "rule:x"}, {"x": "!"}, {"x": "@"}, {"old": "@", "x": "!"}):
        for options in ({}, new):
            for check, was in (("!", old), ("@", ["old", "!"]), ("!", ["x", "@"]), ("rule:y", ["old", "rule:y"])):
                case("deprecated %s: %s, was %s, %s" % (was[0], check, was[1], "new" if options else "both") + json.dumps(rules), rules,
                     defaults=[["x", check, None, was], ["y", "!", None, None]], options=options)


ATOMS = ["@", "!", "role:admin", "role:x", "user_id:u1", "user_id:%(user_id)s", "project_id:%(project_id)s", "'p1':%(project_id)s", "True:True", "rule:a", "rule:b", "rule:nosuch",
         "and", "or", "not", "(", ")", "and", "or", "not", "(", ")", "and", "or", "(", ")", "AND", "nonsense", "'q'", "x:%", "x:%(nosuch)s", "1a:x", "a.b:c", "user_id.a:b", "domain_id:None", "is_admin:False"]
LETTERS = "aeu_1.%()'\":!@ rols-+=&x"


def randoms(n):
    r = random.Random(1)
    for i in range(n):
        def one():
            if r.random() < 0.7:
                words = [r.choice(ATOMS) for _ in range(r.randrange(1, 9))]
                return "".join(w if w in "(" or r.random() < 0.1 else w + " " for w in words)
            if r.random() < 0.5:
                return "".join(r.choice(LETTERS) for _ in range(r.randrange(1, 10)))
            return "".join(r.choice("ab1'.:-%_(+") for _ in range(r.randrange(1, 6))) + ":" + r.choice(["x", "1", "a", "%(user_id)s"])
        rules = {"x": one(), "a": one(), "b": r.choice(ATOMS)}
        case("random %d" % i, rules)


if len(sys.argv) > 2 and sys.argv[1] == "--random":
    randoms(int(sys.argv[2]))
else:
    cases()
for c in CASES:
    if c["caller"] is CALLER:
        del c["caller"]
    if c["target"] is TARGET:
        del c["target"]
print('{"caller": %s,\n "target": %s,\n "cases": [' % (json.dumps(CALLER), json.dumps(TARGET)))
print(",\n".join(json.dumps(c, sort_keys=True) for c in CASES) + "\n]}")
