#!/usr/bin/env python3
"""Ask the real keystonemiddleware for verdicts on access rules, and write them down.

    python3 access.py > access.json

A case: the rules of a token ([method, path, service]; null for none), the
service_type of the API that is asked, the request (method, and path as it is
sent), and the service token that comes with it: "" for none, "service" for one
with a role of service_token_roles, "other" for one without, "own" for the token
itself. The verdict is allow, deny or error (an exception, which is a 500). Where
we differ on purpose, "ours" is our verdict and "differs" says why.
"""
import json
import logging
import random
import urllib.parse
import warnings

from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _request

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

CATALOG = ["identity", "volumev3", "block-storage"]
CASES = []


def described(roles, rules=None):
    token = {
        "methods": ["application_credential"], "expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2020-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}},
        "project": {"id": "p", "name": "p", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": r, "name": r} for r in roles], "catalog": [{"type": t, "endpoints": []} for t in CATALOG],
    }
    if rules is not None:
        token["application_credential"] = {
            "id": "a", "name": "a", "restricted": True, "access_rules": [{"id": "r", "method": m, "path": p, "service": s} for m, p, s in rules]}
    return {"token": token}


class Asked(auth_token.BaseAuthProtocol):
    """The middleware, with a Keystone that knows three tokens."""

    def __init__(self, rules, service_type):
        super().__init__(None, service_token_roles=["service"], service_type=service_type)
        self.tokens = {"own": described(["admin"], rules), "service": described(["service"]), "other": described(["admin"])}

    def fetch_token(self, token, **kwargs):
        return self.tokens[token]


def ask(c):
    middleware = Asked(c["rules"], c["service_type"] or None)
    path, _, query = c["path"].partition("?")
    environ = {
        "REQUEST_METHOD": c["method"], "SCRIPT_NAME": "", "PATH_INFO": urllib.parse.unquote(path, encoding="latin-1"), "QUERY_STRING": query,
        "SERVER_NAME": "h", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_X_AUTH_TOKEN": "own",
    }
    if c["service"]:
        environ["HTTP_X_SERVICE_TOKEN"] = c["service"]
    request = _request._AuthTokenRequest(environ)
    try:
        middleware.process_request(request)
        confirmed = request.headers.get("X-Service-Identity-Status", "Confirmed") == "Confirmed"
        return "allow" if request.user_token_valid and confirmed else "deny"
    except Exception:
        return "error"


def case(name, rules, path="/v3/p/os-services", method="GET", service_type="volumev3", service="", ours=None, differs=None):
    c = dict(name=name, rules=rules, method=method, path=path, service_type=service_type, service=service)
    c["want"] = ask(c)
    if ours:
        assert ours != c["want"], c
        c["ours"], c["differs"] = ours, differs
    CASES.append(c)


def rule(path, method="GET", service="volumev3"):
    return [[method, path, service]]


LIST = rule("/v3/p/os-services")
case("no rules at all", None)
case("no rules at all, no service_type", None, service_type="")
case("an empty list", [])
case("the very request", LIST)
case("no service_type", LIST, service_type="")
case("a service_type that the catalog has not", rule("/v3/p/os-services", service="share"), service_type="share")
case("another service", rule("/v3/p/os-services", service="block-storage"))
case("another service_type", LIST, service_type="block-storage")
case("service_type block-storage", rule("/v3/p/os-services", service="block-storage"), service_type="block-storage")
case("the service in capitals", rule("/v3/p/os-services", service="VolumeV3"))
case("another method", LIST, method="PUT")
case("the method in small letters", rule("/v3/p/os-services", method="get"))
case("HEAD is not GET", LIST, method="HEAD")
case("the second rule", rule("/v3/p/clusters") + LIST)
case("the method of one, the path of another", rule("/v3/p/clusters") + rule("/v3/p/os-services", method="PUT"))
case("a query counts for nothing", LIST, path="/v3/p/os-services?host=a")
case("a rule with a query", rule("/v3/p/os-services?host=a"), path="/v3/p/os-services?host=a")
case("a path that begins like it", LIST, path="/v3/p/os-services/enable")
case("a path that ends like it", rule("/os-services"))
case("a slash at the end", LIST, path="/v3/p/os-services/")
case("two slashes", LIST, path="/v3//p/os-services")
case("with .json", LIST, path="/v3/p/os-services.json")
case("another case", LIST, path="/v3/p/OS-services")
case("encoded where it need not be", LIST, path="/v3/p/os%2Dservices")
case("an encoded slash", rule("/v3/*/os-services/enable"), path="/v3/p/os-services%2Fenable")
case("encoded where it has to be", rule("/v3/p/clusters/a%20b"), path="/v3/p/clusters/a%20b")
case("a rule with a blank", rule("/v3/p/clusters/a b"), path="/v3/p/clusters/a%20b")
case("what may stay as it is", rule("/v3/p/clusters/a@b:c!$&'()*+,;=~x".replace("*", "{star}").replace("(", "{o}").replace(")", "{c}").replace("+", "{p}").replace("$", "{d}")),
     path="/v3/p/clusters/a@b:c!$&'()*+,;=~x")
case("letters beyond ASCII", rule("/v3/p/clusters/%C3%A9"), path="/v3/p/clusters/%C3%A9")
case("a line break", rule("/v3/p/clusters/**"), path="/v3/p/clusters/a%0Ab")
case("a line break at the end", rule("/v3/p/os-services"), path="/v3/p/os-services%0A")
for pattern in ("/v3/*/os-services", "/v3/{project_id}/os-services", "/v3/**", "/**", "**", "/v3/p/os-*", "/v3/p/*-services", "/v3/*", "/*", "*", "/v3/p/os-services*",
                "/v3/p/os-services**", "/v3/p/os-services/*", "/v3/p/os-services/**", "/v3/***", "/v3/****", "/v3/*****", "/v3/{a/b}/os-services", "/v3/{}/os-services",
                "/v3/{*}/os-services", "/v3/{p/os-services", "/v3/p}/os-services", "/v3/}p{/os-services", "/{v}/{p}/{r}", "/v3/p/{a}{b}", ""):
    for path in ("/v3/p/os-services", "/v3/p/os-services/", "/v3/p/os-services/enable", "/v3/os-services", "/v3/"):
        case("%s of %s" % (pattern, path), rule(pattern), path=path)

service = dict(service="service")
case("a service's token with it", [], **service)
case("a service's token with it, no service_type", LIST, service_type="", **service)
case("a service's token with it, a service_type that the catalog has not", LIST, service_type="share", **service)
why = "only a service that has one of service_token_roles passes on what its user has asked of another API"
case("the token of nobody in particular with it", [], service="other", ours="deny", differs=why)
case("the token of nobody in particular with it, and allowed", LIST, service="other")
case("the token itself with it", [], service="own", ours="deny", differs=why)
why = "a rule's path is a text but for its wildcards"
case("a dot", rule("/v3.p/os-services"), ours="deny", differs=why)
case("a dot and a star", rule("/v3/.*"), path="/v3/p")
case("an alternative", rule("/v3/p|/v4"), ours="deny", differs=why)
case("a group", rule("/v3/p/(os-services)"), ours="deny", differs=why)
case("a class", rule("/v3/[a-z]/os-services"), ours="deny", differs=why)
case("a group that does not end", rule("/v3/(p"), ours="deny", differs=why)
case("an expression that does not end", rule("/v3/[p"), ours="deny", differs=why)
case("a plus", rule("/v3/p/clusters/a+b"), path="/v3/p/clusters/a+b", ours="allow", differs=why)
case("a dollar", rule("/v3/p/clusters/a$b"), path="/v3/p/clusters/a$b", ours="allow", differs=why)

random.seed(1)
for i in range(150):
    pattern = "".join(random.choice(["/", "/", "a", "b", "*", "**", "{a}", "{", "}", "-"]) for _ in range(random.randint(1, 7)))
    path = "/" + "".join(random.choice("//ab-") for _ in range(random.randint(0, 6)))
    case("random %d" % i, rule("/" + pattern), path=path)

print("[\n" + ",\n".join(json.dumps(c) for c in CASES) + "\n]")
