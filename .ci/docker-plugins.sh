#!/usr/bin/env bash
# Docker Compose and BuildKit's client, for a machine whose Docker has neither. Debian 12 has no packages of them, and those of
# Debian 13 need nothing else, so they are unpacked as plugins; the system's own sources stay as they are. Needs root and Debian.
set -euo pipefail

if docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; then
  echo "Docker Compose is here."
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{cache/archives,lists}/partial
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
apt=(apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
cd "$work"
"${apt[@]}" update >/dev/null
"${apt[@]}" download docker-compose docker-buildx >/dev/null
for package in *.deb; do dpkg-deb --extract "$package" unpacked; done
install -D -t /usr/libexec/docker/cli-plugins unpacked/usr/libexec/docker/cli-plugins/docker-{compose,buildx}
docker compose version
