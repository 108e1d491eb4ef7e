# Records in failures_rebuilt.json what Python makes of the failures that we send:
#
#     go test ./internal/oslo -run TestPythonRebuilds -update  # writes failures_sent.json
#     /usr/bin/python3 internal/oslo/testdata/rebuild_failures.py
#
# It has oslo.messaging rebuild each as cinder-api has it do.
import json
import os
import warnings

warnings.simplefilter("ignore")

import cinder.rpc
from oslo_messaging._drivers import common

here = os.path.dirname(__file__)
with open(os.path.join(here, "failures_sent.json")) as f:
    sent = json.load(f)

rebuilt = {}
for name, failure in sent.items():
    e = common.deserialize_remote_exception(json.dumps(failure), cinder.rpc.get_allowed_exmods())
    rebuilt[name] = {
        "class": type(e).__name__,
        "bases": [c.__module__ + "." + c.__name__ for c in type(e).__mro__[1:-3]],
        "text": str(e),
        "msg": getattr(e, "msg", None),
        "code": getattr(e, "code", None),
        "kwargs": getattr(e, "kwargs", None),
    }
with open(os.path.join(here, "failures_rebuilt.json"), "w") as f:
    json.dump(rebuilt, f, indent=1, sort_keys=True)
    f.write("\n")
