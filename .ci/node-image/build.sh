#!/usr/bin/env bash
# Makes sure that the base image of our Dockerfile is here: found, else pulled, else built under the same name. Building is for a
# CI machine that reaches Debian's and npm's packages but no image registry; needs root, Debian, and a Docker daemon. Never push
# what is built: it trusts the certificate authorities of this machine.
#
# What is built has the parts of node:*-bookworm-slim that the Dockerfile uses: Debian's minimum, /usr/local/bin/{node,npm}, and
# user node (1000).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../local-image.sh"
image=$(sed -n 's/^ARG NODE_IMAGE=//p' "$here/../../Dockerfile")
label=dev.origin-regions.node-image
version=$(sed -E 's/^node:([0-9.]+)-.*/\1/' <<<"$image")
suite=$(sed -E 's/.*-([a-z]+)-slim$/\1/' <<<"$image")
key=$({ echo "$version $suite"; cat "$here"/* "$here/../local-image.sh" /etc/ssl/certs/ca-certificates.crt; } | sha256sum | cut -c1-16)

if found_or_pulled; then exit; fi

command -v debootstrap >/dev/null ||
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 debootstrap >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 || {
  tail -n 20 "$work/debootstrap.log" >&2
  exit 1
}
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,info,locale,man}/*

case $(uname -m) in aarch64) machine=arm64 ;; *) machine=x64 ;; esac
npm install --prefix "$work/node" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-$machine@$version" npm@11 >&2
local=$root/usr/local
install -m 755 "$work/node/node_modules/node-linux-$machine/bin/node" "$local/bin/node"
mkdir -p "$local/lib/node_modules" "$root/etc/ssl/certs"
cp --recursive "$work/node/node_modules/npm" "$local/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$local/bin/npm"
cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'node:x:1000:1000::/home/node:/bin/bash' >>"$root/etc/passwd"
echo 'node:x:1000:' >>"$root/etc/group"
install -d -o 1000 -g 1000 "$root/home/node"
build_from_tree "$here/Dockerfile"
