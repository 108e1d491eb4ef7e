#!/usr/bin/env python3
"""Ask the real Cinder who may do what, and write it down.

    python3 callers.py policies.json > callers.json

policies.json is a list of contents of policy files. A verdict is a string with a
letter for each rule: y, n, or e for an exception.
"""
import json
import logging
import os
import sys
import tempfile
import warnings

from cinder import context
from cinder import objects
from cinder import policy
from oslo_config import cfg

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
objects.register_all()

RULES = ["volume_extension:services:index", "volume_extension:services:update", "volume:freeze_host", "volume:thaw_host", "volume:failover_host",
         "clusters:get_all", "clusters:get", "clusters:update"]
P = dict(user_id="u1", user_domain_id="default", project_id="p1", project_domain_id="default")
N = dict(user_id="u1", user_domain_id="default")
CALLERS = {
    "admin": dict(P, roles=["admin", "member", "reader"]), "member": dict(P, roles=["member", "reader"]), "reader": dict(P, roles=["reader"]),
    "nobody": dict(P, roles=[]), "ADMIN": dict(P, roles=["ADMIN"]), "other project": dict(P, project_id="p2", roles=["admin"]),
    "unscoped": dict(N, roles=[]), "system admin": dict(N, system_scope="all", roles=["admin", "member", "reader"]),
    "system reader": dict(N, system_scope="all", roles=["reader"]), "domain admin": dict(N, domain_id="default", roles=["admin"]),
    "not the admin project": dict(P, roles=["admin"], is_admin_project=False), "noauth": dict(P, roles=[], is_admin=True),
    "through a service": dict(P, roles=["member"], service_user_id="s1", service_user_domain_id="default", service_project_id="sp", service_project_domain_id="default", service_roles=["service"]),
}
MORE = [
    {"context_is_admin": "is_admin:True"}, {"context_is_admin": "not is_admin:True"}, {"context_is_admin": "is_admin:None"}, {"context_is_admin": "role:admin and"}, {"context_is_admin": "and"},
    {"context_is_admin": "rule:admin_api"}, {"context_is_admin": "user_domain_id:%(project_domain_id)s"}, {"context_is_admin": "'reader':%(roles)s"}, {"context_is_admin": "roles:%(roles)s"},
    {"context_is_admin": [["\"['reader']\":%(roles)s"]]}, {"context_is_admin": "'None':%(service_user_id)s"}, {"context_is_admin": ""}, {"context_is_admin": None},
    {"admin_api": "not is_admin:True"}, {"admin_api": "is_admin:False"}, {"admin_api": "is_admin_project:True"}, {"admin_api": "is_admin_project:False and role:admin"}, {"admin_api": "service_roles:service"},
    {"admin_api": "service_user_id:s1 and service_project_id:sp"}, {"admin_api": "domain_id:default"}, {"admin_api": "system_scope:all"}, {"admin_api": "system:all"}, {"admin_api": "project_id:%(project_id)s"},
    {"admin_api": "project_domain_id:default"}, {"admin_api": "user:u1"}, {"admin_api": "tenant:p1"}, {"admin_api": "project_id:None"}, {"admin_api": "role:service or rule:admin_or_owner"},
    {"admin_api": "rule:xena_system_admin_or_project_reader"}, {"admin_api": "rule:xena_system_admin_or_project_member"}, {"admin_api": "rule:system_or_domain_or_project_admin"},
    {"admin_api": "rule:context_is_admin"}, {"admin_api": "rule:admin_api"}, {"admin_api": "rule:volume:freeze_host"}, {"default": "@", "admin_api": "rule:nosuch"}, {"admin_api": "'u1':%(user_id)s"},
    {"admin_api": "'x':%(domain_id)s"}, {"admin_api": "roles:admin"}, {"admin_api": "user_id.x:y"}, {"admin_api": "service_roles:x or role:admin"},
]


def main():
    policies = [p for p in json.load(open(sys.argv[1])) if isinstance(p, dict)] + MORE
    cfg.CONF([], project="cinder", default_config_files=[], default_config_dirs=[])
    table = []
    for p in policies:
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "policy.yaml")
            with open(path, "w") as f:
                json.dump(p, f)
            cfg.CONF.set_override("policy_file", path, group="oslo_policy")
            policy.reset()
            answers = {}
            for name, values in CALLERS.items():
                letters = ""
                for rule in RULES:
                    try:
                        c = context.RequestContext(overwrite=False, **json.loads(json.dumps(values)))
                        letters += "y" if c.authorize(rule, fatal=False) else "n"
                    except Exception as ex:
                        letters += "n" if type(ex).__name__ == "PolicyNotAuthorized" else "e"
                answers[name] = letters
            table.append({"policy": p, "answers": answers})
    print('{"rules": %s,\n "callers": {\n%s},\n "table": [' % (json.dumps(RULES), ",\n".join("%s: %s" % (json.dumps(n), json.dumps(c)) for n, c in CALLERS.items())))
    print(",\n".join(json.dumps(t, sort_keys=True) for t in table) + "\n]}")


main()
