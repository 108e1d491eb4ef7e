# Records in transport.json what oslo.messaging and kombu make of transport URLs:
#
#     /usr/bin/python3 internal/dsn/testdata/record_transport.py > internal/dsn/testdata/transport.json
#
# It asks oslo.messaging to read each URL, and then for the URL that it hands to
# kombu for each host, which it asks kombu to read: what kombu logs in with.
import json
import sys
import warnings

warnings.simplefilter("ignore")

import kombu
import oslo_messaging
from kombu.transport import get_transport_cls
from kombu.utils.url import url_to_parts
from oslo_config import cfg
from oslo_messaging import transport
from oslo_messaging._drivers.impl_rabbit import Connection

URLS = """
rabbit://
rabbit:
rabbit:///
rabbit:/v
rabbit:///v
RABBIT://h
kombu+amqp://u:p@h/
kombu+pyamqp://u:p@h/
kombu+rabbit://u:p@h/
kombu+amqps://u:p@h/
kombu+memory://
kombu://u:p@h/
amqp://u:p@h/
kafka://h/
fake://
memory://
unknown://h/
h:5672
rabbit
1rabbit://h

rabbit://openstack:secret@controller:5672/
rabbit://openstack:secret@controller
rabbit://openstack:secret@192.0.2.1:5673/cinder
rabbit://Controller.Example.ORG/
rabbit://a:1@h1:5671,b:2@h2:5672,c:3@h3/v
rabbit://a:1@h1,h2/
rabbit://a@h1/
rabbit://:p@h1/
rabbit://a:@h1/
rabbit://@h1/
rabbit://,h1,,h2,/
rabbit://,/
rabbit://h1;h2/

rabbit://u:p@[::1]:5673/v
rabbit://[2001:db8::1]/
rabbit://u:p@[2001:db8::1]:5672,u:p@[2001:db8::2]/
rabbit://[2001:db8::1],[2001:db8::2]/
rabbit://u:p@[fe80::1%25eth0]/
rabbit://[127.0.0.1]/
rabbit://[x]/
rabbit://[::1
rabbit://[::1]x/
rabbit://x[::1]/
rabbit://u:a]b@h/
rabbit://u:a[b]c@h/

rabbit://u%40v:p%3aq%2Cr%25%23%3f%40@h/
rabbit://u:a%2Fb@h/
rabbit://u:a/b@h/
rabbit://u:a#b@h/
rabbit://u:a?b@h/
rabbit://u:a:b@h/
rabbit://u@v:p@h/
rabbit://u:a+b@h/
rabbit://u:a b@h/
rabbit://u:&=$-_.+!*()@h/
rabbit://u:%zz%c3%bc%4@h/
rabbit://ü:ö@h/
rabbit://u:%ff@h/
rabbit://u:%2525@h/

rabbit://h:/
rabbit://h:0/
rabbit://h:05672/
rabbit://h:1/
rabbit://h:65535/
rabbit://h:65536/
rabbit://h:-1/
rabbit://h:+5672/
rabbit://h:5_672/
rabbit://h:x/
rabbit://h:5672:1/
rabbit://:5673/
rabbit://u:p@:5673/

rabbit://h/%2F
rabbit://h//
rabbit://h/%2Fopenstack
rabbit://h/a%20b
rabbit://h/a b
rabbit://h/a%2Fb/c
rabbit://h/a%3Fb
rabbit://h/a%23b
rabbit://h/a%3Bb
rabbit://h/100%25
rabbit://h/%2541
rabbit://h/;v
rabbit://h/v#fragment
rabbit://h/Straße

rabbit://h/?ssl=1&ssl=0&x=&y&heartbeat_timeout_threshold=5
rabbit://h?ssl=true
rabbit://h/v?a+b=c+d%2B%26&a%20b=2
rabbit://h/v?x=1;y=2
rabbit://h/v?x=1?y=2
rabbit://h/v?=1
""".split("\n")

# What a line of a list cannot hold.
URLS += ["", "  rabbit://h/", "\x00rabbit://h/", "rabbit://h/ ", "rab\tbit://h\r\n/v\n", "rabbit://a b/"]


def effective(url, host):
    """What kombu logs in with at one host."""
    conf = url_to_parts(Connection._transform_transport_url(Connection.__new__(Connection), url, host))
    cls = get_transport_cls(conf.scheme)
    if cls.driver_type != "amqp":
        raise ValueError("no AMQP")
    return {
        "host": conf.hostname or "localhost",
        "port": conf.port,
        "user": conf.username or "guest",
        "password": conf.password or "guest",
        "virtual_host": conf.path or "/",
    }


def answer(text):
    try:
        url = transport.TransportURL.parse(cfg.CONF, text)
        if url.transport.split("+")[0] not in ("rabbit", "kombu"):
            raise ValueError("another driver")
        hosts = url.hosts or [transport.TransportHost("localhost", username="guest", password="guest")]
        brokers = [effective(url, host) for host in hosts]
        if any(b["port"] > 65535 for b in brokers):
            raise ValueError("port")
        return {"url": text, "brokers": brokers, "query": url.query}
    except Exception as e:
        return {"url": text, "error": type(e).__name__}


seen = dict.fromkeys(u for u in URLS if u)
seen[""] = None
json.dump([answer(u) for u in seen], sys.stdout, indent=1, ensure_ascii=False)
print()
