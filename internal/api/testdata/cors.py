#!/usr/bin/env python3
"""Ask the real oslo.middleware what it makes of requests of web pages.

    python3 cors.py > cors.json

A case: the options of [cors] and in full those of [cors.NAME] ("more"), method and headers of the request, status and Vary
of the answer behind it, and the status and headers (without length and type) that
come out.
"""
import json
import logging
import tempfile
import warnings

import webob
from oslo_config import cfg
from oslo_middleware import cors

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")

SOME = {"allowed_origin": ["https://a.example", "http://b.example:8080"], "expose_headers": ["X-One", "X-Two"], "allow_methods": ["GET", "PUT"],
        "allow_headers": ["X-Auth-Token", "OpenStack-API-Version"], "allow_credentials": True, "max_age": 3600}
CASES = []


def case(name, method="GET", headers=None, options=SOME, status=200, vary=None, more=()):
    conf = cfg.ConfigOpts()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        for i, section in enumerate(more):
            f.write("[cors.%d]\n" % i + "".join("%s = %s\n" % (k, ",".join(v) if isinstance(v, list) else v) for k, v in section.items()))
        f.flush()
        conf([], default_config_files=[f.name], default_config_dirs=[])

    @webob.dec.wsgify
    def application(req):
        res = webob.Response(status=status, body=b"x", content_type="text/plain")
        if vary:
            res.headers["Vary"] = vary
        return res

    conf.register_opts(cors.CORS_OPTS, "cors")
    for k, v in options.items():
        conf.set_override(k, v, group="cors")
    res = webob.Request.blank("/v3/os-services", method=method, headers=headers or {}).get_response(cors.CORS(application, conf))
    out = {k: v for k, v in res.headers.items() if k not in ("Content-Length", "Content-Type")}
    CASES.append(dict(name=name, options=options, method=method, headers=headers or {}, behind=status, vary=vary or "", status=res.status_int, answer=out))
    if more:
        CASES[-1]["more"] = list(more)


A = {"Origin": "https://a.example"}


def pre(**more):
    h = dict(A, **{"Access-Control-Request-Method": "GET"})
    h.update({k.replace("_", "-"): v for k, v in more.items()})
    return h


for status in (200, 202, 300, 302, 400, 401, 404, 500):
    case("request %d" % status, headers=A, status=status)
    case("preflight %d" % status, "OPTIONS", pre(), status=status)
case("no origin")
case("no origin, preflight", "OPTIONS", {"Access-Control-Request-Method": "GET"})
for origin in ("https://a.example/", "http://a.example", "https://A.example", "https://a.example:443", "http://b.example:8080", "null", "", "*", "https://a.example, https://evil.example", "https://evil.example"):
    case("origin %s" % origin, headers={"Origin": origin})
    case("preflight of %s" % origin, "OPTIONS", pre(Origin=origin))
case("vary", headers=A, vary="OpenStack-API-Version")
case("vary, preflight", "OPTIONS", pre(), vary="OpenStack-API-Version")
for method in ("GET", "PUT", "DELETE", "get", "", "OPTIONS", "GET,PUT"):
    case("method %s" % method, "OPTIONS", pre(Access_Control_Request_Method=method))
for headers in ("X-Auth-Token", "x-auth-token", "X-Auth-Token, openstack-api-version", "X-Auth-Token,X-Evil", "Accept,Content-Type,Cache-Control", "", ",", " , X-Auth-Token ,", "X-Evil", "Origin", "Authorization", "Expires,Last-Modified,Pragma,Content-Language,Accept-Language"):
    case("headers %s" % headers, "OPTIONS", pre(Access_Control_Request_Headers=headers))
for method in ("PUT", "POST", "DELETE", "HEAD", "PATCH"):
    case("by %s" % method, method, A)
case("no method in a preflight", "OPTIONS", A)
case("nobody is allowed", headers=A, options={})
case("nobody is allowed, preflight", "OPTIONS", pre(), options={})
everybody = dict(SOME, allowed_origin=["*"])
case("everybody", headers={"Origin": "https://x.example"}, options=everybody)
case("everybody, preflight", "OPTIONS", pre(Origin="https://x.example"), options=everybody)
case("everybody and somebody", headers=A, options=dict(SOME, allowed_origin=["*", "https://a.example"]))
case("no credentials", headers=A, options=dict(SOME, allow_credentials=False))
case("no credentials, preflight", "OPTIONS", pre(), options=dict(SOME, allow_credentials=False))
case("no age", "OPTIONS", pre(), options=dict(SOME, max_age=0))
case("nothing exposed", headers=A, options=dict(SOME, expose_headers=[]))
case("no methods", "OPTIONS", pre(), options=dict(SOME, allow_methods=[]))
B = dict(SOME, allowed_origin=["https://c.example"], allow_methods=["POST"], allow_headers=["X-C"], expose_headers=["X-Three"], allow_credentials=False, max_age=5)
ALL = dict(B, allowed_origin=["*"])
for by, h in (("c", {"Origin": "https://c.example"}), ("a", A), ("x", {"Origin": "https://x.example"})):
    for what, more in (("a section", [B]), ("a section for everybody", [B, ALL]), ("a second section", [dict(B, allowed_origin=["https://d.example"]), B])):
        case("%s, %s" % (what, by), headers=h, more=more)
        for method in ("GET", "POST"):
            case("%s, %s, preflight of %s" % (what, by, method), "OPTIONS", dict(h, **{"Access-Control-Request-Method": method}), more=more)
case("the first that names an origin", headers=A, more=[dict(B, allowed_origin=["https://a.example"])])
case("a section alone", headers={"Origin": "https://c.example"}, options={}, more=[B])
case("a section alone, others", headers=A, options={}, more=[B])
print("[\n" + ",\n".join(json.dumps(c, sort_keys=True) for c in CASES) + "\n]")
