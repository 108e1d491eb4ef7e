"""Print every notification that oslo.messaging's own listener hands over, a line of JSON each.

Arguments: a cinder.conf and the topic. It says "ready" once it listens.
"""
import json
import sys

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    def _print(self, priority, context, publisher, event, payload):
        line = {"priority": priority, "publisher": publisher, "event": event, "payload": payload, "request_id": context.get("request_id")}
        print(json.dumps(line), flush=True)

    def info(self, context, publisher_id, event_type, payload, metadata):
        self._print("info", context, publisher_id, event_type, payload)

    def error(self, context, publisher_id, event_type, payload, metadata):
        self._print("error", context, publisher_id, event_type, payload)


conf = cfg.ConfigOpts()
conf(["--config-file", sys.argv[1]])
transport = oslo_messaging.get_notification_transport(conf)
# With Cinder's exchange, which control_exchange names.
target = oslo_messaging.Target(topic=sys.argv[2], exchange="openstack")
listener = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
listener.start()
print("ready", flush=True)
listener.wait()
