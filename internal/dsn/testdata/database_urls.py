#!/usr/bin/python3
"""Records how SQLAlchemy 1.4 reads database URLs, into database_urls.json.

Each entry has the URL and either what make_url took it apart into and what the
dialect would hand to its driver, or "refused". It needs the Debian packages
python3-sqlalchemy, python3-pymysql and python3-psycopg2, and no database.
"""
import json
import os
import sys

import sqlalchemy
from sqlalchemy.engine import url

URLS = r"""
sqlite:////var/lib/stoker/stoker.db
sqlite:///stoker.db
sqlite:///a/b.db
sqlite+pysqlite:////x.db
sqlite:////x.db?timeout=5&x=%2F
sqlite:////x.db?
sqlite:////a%20b#c.db
sqlite:////ä b/ü.db
sqlite:///a://b
sqlite:////a:b@c
sqlite://
sqlite:///
sqlite:///:memory:
sqlite:///file:x?uri=true
sqlite://host/x.db
sqlite://x.db
SQLite:////x.db

/var/lib/stoker.db
mysql
mysql:/h/d
://x
my-sql://h/d
mysql://cinder:secret@db/cinder
mysql+pymysql://cinder:secret@db/cinder?charset=utf8
mysql+pymysql://cinder:secret@db:3307/cinder?charset=utf8mb4&connect_timeout=5
mysql+pymysql://cinder:secret@127.0.0.1:33306/cinder
mysql+pymysql://cinder@db/cinder
mysql+pymysql://cinder:@db/cinder
mysql+pymysql://:secret@db/cinder
mysql+pymysql://db/cinder
mysql+pymysql:///cinder?unix_socket=/run/mysqld/mysqld.sock
mysql+pymysql:///cinder
mysql+pymysql://@/cinder
mysql+pymysql://cinder:p%40ss%2Fw%3Ard%25@db/cinder
mysql+pymysql://c%C3%AFnder:%70@db/cinder
mysql+pymysql://cinder:100%@db/cinder
mysql+pymysql://cinder:%zz%4@db/cinder
mysql+pymysql://cinder:%ff@db/cinder
mysql+pymysql://cinder:a+b@db/cinder
mysql+pymysql://cinder:a:b@db/cinder
mysql+pymysql://cinder:a/b?c#d@db/cinder
mysql+pymysql://cinder:a@b@db/cinder
mysql+pymysql://us@er:pw@db/cinder
mysql+pymysql://us@er@db/cinder
mysql+pymysql://cinder@db:3306/cinder?x=a@b
mysql+pymysql://cinder@db/cinder?x=a@b
mysql+pymysql://cinder:pw@[::1]/cinder
mysql+pymysql://cinder:pw@[2001:db8::5]:3307/cinder
mysql+pymysql://cinder:pw@[fe80::1%eth0]:3307/cinder
mysql+pymysql://cinder:pw@[::1]x/cinder
mysql+pymysql://cinder:pw@[::1/cinder
mysql+pymysql://cinder:pw@[]/cinder
mysql+pymysql://cinder:pw@::1/cinder
mysql+pymysql://cinder:pw@db:/cinder
mysql+pymysql://cinder:pw@db:port/cinder
mysql+pymysql://cinder:pw@db:33 06/cinder
mysql+pymysql://cinder:pw@:3307/cinder
mysql+pymysql://cinder:pw@db
mysql+pymysql://cinder:pw@db/
mysql+pymysql://cinder:pw@db?charset=utf8
mysql+pymysql://cinder:pw@db/a/b
mysql+pymysql://cinder:pw@db/a%20b
mysql+pymysql://cinder:pw@db/c?charset=utf8&charset=latin1
mysql+pymysql://cinder:pw@db/c?charset=
mysql+pymysql://cinder:pw@db/c?charset
mysql+pymysql://cinder:pw@db/c?a=b;c=d&&e=f+g%20h%ff
mysql+pymysql://cinder:pw@db/c?a=b=c&d=e?f
mysql+pymysql://cinder:pw@db/c?%61=b
mysql+pymysql://cinder:pw@db/c?ssl_ca=/etc/ssl/ca.pem
mysql+pymysql://cinder:pw@db/c?ssl_ca=/ca.pem&ssl_cert=/c.pem&ssl_key=/k.pem&ssl_check_hostname=false
mysql+pymysql://cinder:pw@db/c?ssl_ca=/ca.pem&ssl_check_hostname=true&ssl_capath=/certs&ssl_cipher=AES
mysql+pymysql://cinder:pw@db/c?ssl_verify_cert=true&ssl_verify_identity=true&ssl_disabled=false
mysql+mysqldb://cinder:pw@db/c
mysql+mysqlconnector://cinder:pw@db/c
mariadb+pymysql://cinder:pw@db/c?charset=utf8mb4
mariadb://cinder:pw@db/c
mysql+py+mysql://cinder:pw@db/c
mysql+://cinder:pw@db/c
postgresql://cinder:secret@db/cinder
postgresql+psycopg2://cinder:secret@db:5433/cinder
postgresql+psycopg2://cinder:secret@[::1]:5433/cinder?sslmode=verify-full&sslrootcert=/ca.pem
postgresql://cinder:secret@db/cinder?sslmode=require&sslcert=/c.pem&sslkey=/k.pem
postgresql:///cinder?host=/run/postgresql
postgresql:///cinder?host=a:5432&host=b:5433
postgresql://cinder@/cinder
postgresql:///cinder
postgresql://cinder:p%40ss@db/cinder?client_encoding=utf8&application_name=cinder&connect_timeout=3
postgresql://cinder:secret@db/cinder?options=-c%20statement_timeout%3D5000
postgresql+asyncpg://cinder:secret@db/cinder
postgres://cinder:secret@db/cinder
oracle://cinder:secret@db/cinder
mssql+pyodbc://cinder:secret@db/cinder
rabbit://guest:guest@127.0.0.1:5672/
http://db/cinder
""".split("\n")[1:-1] + ["mysql+pymysql://c:p@db/c?a=b\nc=d", "mysql+pymysql://c:p\n@db/c\nd", " mysql+pymysql://c:p@db/c", "mysql+pymysql://c:p@db/c "]


def read(text):
    try:
        u = url.make_url(text)
    except Exception as e:
        return {"url": text, "refused": type(e).__name__}
    entry = {
        "url": text,
        "drivername": u.drivername,
        "username": u.username,
        "password": u.password,
        "host": u.host,
        "port": u.port,
        "database": u.database,
        "query": {k: list(v) if isinstance(v, tuple) else [v] for k, v in u.query.items()},
    }
    try:
        args, kwargs = u.get_dialect()().create_connect_args(u)
        kwargs.pop("client_flag", None)  # a number of the driver's
        if u.drivername.startswith("sqlite"):
            args = []  # a path on this machine
        entry["connect"] = {"args": args, "kwargs": kwargs}
    except Exception as e:
        entry["connect"] = {"refused": type(e).__name__}
    return entry


if __name__ == "__main__":
    assert sqlalchemy.__version__.startswith("1.4."), sqlalchemy.__version__
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "database_urls.json")
    with open(path, "w") as f:
        json.dump([read(u) for u in URLS], f, indent=1, ensure_ascii=False, sort_keys=True)
        f.write("\n")
    print(len(URLS), "URLs as SQLAlchemy", sqlalchemy.__version__, "reads them", file=sys.stderr)
