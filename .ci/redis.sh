#!/usr/bin/env bash
# Makes sure that the Redis server of the tests is here: found, or installed of Debian's package. Needs root and Debian.
set -euo pipefail

if [ ! -x /usr/bin/redis-server ]; then
  apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  install() { DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends redis-server >&2; }
  install || { "${apt[@]}" update >&2 && install; }
fi
/usr/bin/redis-server --version
