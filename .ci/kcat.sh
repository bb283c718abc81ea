#!/usr/bin/env bash
# Makes sure that kcat is here, which the example for shells is run with: found, or installed of Debian's package. Needs root and Debian.
set -euo pipefail

if [ ! -x /usr/bin/kcat ]; then
  apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  install() { DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends kcat >&2; }
  install || { "${apt[@]}" update >&2 && install; }
fi
/usr/bin/kcat -V
