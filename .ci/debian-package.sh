#!/usr/bin/env bash
# Makes sure that a program is here that tests need: found, or installed of Debian's package. Needs root and Debian.
#
#   debian-package.sh PACKAGE PROGRAM [FLAG]: FLAG makes the program tell its version
set -euo pipefail

package=$1
program=/usr/bin/$2

if [ ! -x "$program" ]; then
  apt=(apt-get -q -o DPkg::Lock::Timeout=120)
  install() { DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "$package" >&2; }
  install || { "${apt[@]}" update >&2 && install; }
fi
"$program" "${3:---version}"
