#!/usr/bin/env python3
"""Ask the real oslo.middleware what it makes of [cors] and [cors.NAME].

    python3 cors.py > cors.json

A case: a configuration file, and what is allowed to which origin then, with
Cinder's defaults.
"""
import json
import logging
import tempfile
import warnings

from cinder.common import config
from oslo_config import cfg
from oslo_middleware import cors

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
config.set_middleware_defaults()

TEXTS = {
    "none": "",
    "cors alone": "[cors]\nallowed_origin = https://a.example, https://b.example\nmax_age = 10\n",
    "a section alone": "[cors.a]\nallowed_origin = https://a.example\n",
    "a section without an origin": "[cors]\nallowed_origin = https://a.example\n[cors.b]\nmax_age = 1\n",
    "an empty section": "[cors]\nallowed_origin = https://a.example\n[cors.b]\n",
    "a section takes from cors": "[cors]\nallowed_origin = https://a.example\nmax_age = 10\nallow_credentials = false\nallow_methods = GET\n"
                                 "expose_headers = X-A\nallow_headers = X-B\n[cors.b]\nallowed_origin = https://b.example\n",
    "a section has its own": "[cors]\nallowed_origin = https://a.example\nmax_age = 10\nallow_methods = GET\n"
                             "[cors.b]\nallowed_origin = https://b.example\nmax_age = 0\nallow_credentials = false\nallow_methods = PUT,GET\nexpose_headers =\nallow_headers = X-C\n",
    "who names an origin first": "[cors.b]\nallowed_origin = https://x.example\nmax_age = 2\n[cors.a]\nallowed_origin = https://x.example,https://a.example\nmax_age = 1\n",
    "cors before all": "[cors.a]\nallowed_origin = https://x.example\nmax_age = 1\n[cors]\nallowed_origin = https://x.example\nmax_age = 9\n",
    "everybody in a section": "[cors]\nallowed_origin = https://a.example\n[cors.all]\nallowed_origin = *\nallow_credentials = false\nallow_methods = GET\n",
    "not sections of cors": "[cors]\nallowed_origin = https://a.example\n[corsb]\nallowed_origin = https://b.example\n[xcors.c]\nallowed_origin = https://c.example\n",
    "dots in the name": "[cors.sub.domain]\nallowed_origin = https://a.example\n",
    "written twice": "[cors.a]\nallowed_origin = https://a.example\n[cors.a]\nmax_age = 3\n",
}
cases = []
for name, text in TEXTS.items():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(text)
        f.flush()
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[f.name], default_config_dirs=[])
        allowed = cors.CORS(None, conf).allowed_origins
    cases.append({"name": name, "text": text, "allowed": allowed})
print("[\n" + ",\n".join(json.dumps(c, sort_keys=True) for c in cases) + "\n]")
