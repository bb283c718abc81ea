#!/usr/bin/env bash
# Makes sure that Chromium is here, which the consumer's page is tested in: found, or installed of Debian's package. Needs root and Debian.
set -euo pipefail

if [ ! -x /usr/bin/chromium ]; then
  apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  install() { DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends chromium >&2; }
  install || { "${apt[@]}" update >&2 && install; }
fi
/usr/bin/chromium --version
