#!/usr/bin/env bash
# Makes sure that promtool is here, which the alert rules are tested with: found, or installed of Debian's package. Needs root and Debian.
set -euo pipefail

if [ ! -x /usr/bin/promtool ]; then
  apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  install() { DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends prometheus >&2; }
  install || { "${apt[@]}" update >&2 && install; }
fi
/usr/bin/promtool --version
