#!/usr/bin/env bash
# Install the Debian packages whose programs the tests start, and make a root with those of each release named (trixie), where
# root runs this; print what is missing where another does. No package's own service is started: the tests start what they need,
# on ports of their own.
#   install.sh [RELEASE...]
# A root is /var/lib/stoker-peers/RELEASE, has 2 GB, takes 5 minutes once, and is never changed: remove it to have a new one made.
set -euo pipefail
releases=("${@:-trixie}")
roots=/var/lib/stoker-peers

# program (a pattern of its path) and the package that has it
peers=(
  "/usr/sbin/mariadbd mariadb-server"
  "/usr/lib/galera/libgalera_smm.so galera-4"
  "/usr/bin/rsync rsync"
  "/usr/bin/curl curl"
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
unmade=()
for r in "${releases[@]}"; do
  [ -d "$roots/$r" ] || unmade+=("$r")
done
((${#missing[@]} + ${#unmade[@]})) || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${missing[*]} ${unmade[*]}: the tests that need them will be skipped (as root on Debian, this script installs them)"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive

# What a root has.
packages=(
  cinder-api cinder-scheduler cinder-volume cinder-backup python3-cinderclient
  rabbitmq-server mariadb-server python3-pymysql keystone uwsgi-core uwsgi-plugin-python3
)

# make_root RELEASE: its packages come from where this machine's do, by the same proxy. What it mounts is its own namespace's,
# and gone when it ends; the root has its name once it is whole.
make_root() {
  local release=$1 root=$roots/$1 part=$roots/$1.part
  local mirror proxy=''
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!/security/ && !n++')
  [ "$mirror" ] || { echo "apt has no mirror of Debian to make $root from" >&2; return 1; }
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [ -z "$proxy" ] || export http_proxy=$proxy
  rm -rf --one-file-system "$part"
  mkdir -p "$part"
  debootstrap --variant=minbase "$release" "$part" "$mirror"
  apt-config dump Acquire >"$part/etc/apt/apt.conf.d/00host"
  echo force-unsafe-io >"$part/etc/dpkg/dpkg.cfg.d/quick" # it is made anew when it is lost
  printf '#!/bin/sh\nexit 101\n' >"$part/usr/sbin/policy-rc.d"
  chmod 755 "$part/usr/sbin/policy-rc.d"
  mount -t proc proc "$part/proc"
  mount --rbind /dev "$part/dev"
  chroot "$part" apt-get update -q
  chroot "$part" apt-get install -yq --no-install-recommends "${packages[@]}"
  chroot "$part" apt-get clean
  umount --recursive "$part/dev" "$part/proc"
  mv "$part" "$root"
}
if [ "${STOKER_MAKE_ROOT:-}" ]; then # called below
  make_root "$STOKER_MAKE_ROOT"
  exit
fi

apt-get update -q >/dev/null
making=()
if ((${#unmade[@]})); then
  apt-get install -yq --no-install-recommends debootstrap debian-archive-keyring >/dev/null
  mkdir -p "$roots"
  for r in "${unmade[@]}"; do
    echo "making $roots/$r: see $roots/$r.log"
    STOKER_MAKE_ROOT=$r unshare --mount --propagation private "$0" "$r" >"$roots/$r.log" 2>&1 &
    making+=("$! $r")
  done
fi
if ((${#missing[@]})); then
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
  fi
  echo "installing ${missing[*]}"
  apt-get install -yq --no-install-recommends "${missing[@]}" >/dev/null
fi
for m in "${making[@]}"; do
  wait "${m% *}" || { tail -n 20 "$roots/${m#* }.log" >&2; echo "no ${m#* } was made" >&2; exit 1; }
done
