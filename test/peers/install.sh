#!/usr/bin/env bash
# Install the Debian packages whose programs the tests start, where root runs this; print what is missing where another does.
# No package's own service is started: the tests start what they need, on ports of their own.
set -euo pipefail

# program (a pattern of its path) and the package that has it
peers=(
  "/usr/sbin/mariadbd mariadb-server"
  "/usr/lib/galera/libgalera_smm.so galera-4"
  "/usr/bin/rsync rsync"
  "/usr/lib/postgresql/*/bin/postgres postgresql"
  "/usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server"
  "/usr/bin/cinder-api cinder-api"
  "/usr/bin/cinder-scheduler cinder-scheduler"
  "/usr/bin/cinder-volume cinder-volume"
  "/usr/bin/cinder-backup cinder-backup"
  "/usr/bin/cinder python3-cinderclient"
  "/usr/bin/openstack python3-openstackclient"
  "/usr/lib/python3/dist-packages/pymysql python3-pymysql"
  "/usr/lib/python3/dist-packages/psycopg2 python3-psycopg2"
  "/usr/bin/keystone-manage keystone"
  "/usr/bin/uwsgi uwsgi-core"
  "/usr/lib/uwsgi/plugins/python3_plugin.so uwsgi-plugin-python3"
  "/usr/lib/python3/dist-packages/keystoneclient python3-keystoneclient"
)
missing=()
for p in "${peers[@]}"; do
  compgen -G "${p% *}" >/dev/null || missing+=("${p#* }")
done
((${#missing[@]})) || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]}: the tests that need them will be skipped (as root on Debian, this script installs them)"
  exit 0
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing ${missing[*]}"
apt-get update -q >/dev/null
apt-get install -yq --no-install-recommends "${missing[@]}" >/dev/null
