#!/usr/bin/env bash
# Makes sure that the PostgreSQL image of the tests is here: found, else pulled, else built under the same name, of Debian's
# packages. Building is for a CI machine that reaches those but no image registry; needs root, Debian with the major version that
# the image's name says, and a Docker daemon. Where POSTGRES_IMAGE names another image, there is nothing to do.
#
# What is built has the parts of the official image's interface that the tests use: POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB, PGDATA, port 5432, arguments for the server as its command, and SIGINT to stop it. It has no psql, no init scripts,
# and next to no shell commands.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../local-image.sh"
image=$(sed -n 's/^const postgresImage = "\(.*\)"$/\1/p' "$here/../../packages/testkit/src/internal/DockerPostgres.ts")
label=dev.origin-regions.postgres-image
major=$(sed 's/.*:\([0-9]*\).*/\1/' <<<"$image")
package=postgresql-$major

if [ -n "${POSTGRES_IMAGE:-}" ] && [ "$POSTGRES_IMAGE" != "$image" ]; then
  echo "POSTGRES_IMAGE names $POSTGRES_IMAGE."
  exit
fi

if [ ! -x "/usr/lib/postgresql/$major/bin/initdb" ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$package" >&2
fi
key=$({ dpkg-query --show "$package"; cat "$here"/* "$here/../local-image.sh"; } | sha256sum | cut -c1-16)
if found_or_pulled; then exit; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
installed=/usr/lib/postgresql/$major
mkdir -p "$root"/{bin,etc,tmp,usr/local/bin,usr/lib/locale,usr/share,var/lib/postgresql/data,var/run/postgresql} "$root$installed"/{bin,lib}

# The compiler of queries would bring a hundred megabytes, and replication has no use here.
cp "$installed"/bin/{initdb,postgres} "$root$installed/bin/"
cp "$installed"/lib/{dict_snowball,plpgsql}.so "$root$installed/lib/"
ln -s "$major/bin" "$root/usr/lib/postgresql/bin"
cp --recursive --parents "/usr/share/postgresql/$major" /usr/share/zoneinfo /usr/lib/locale/C.utf8 "$root"
copy_programs
copy_libraries "$root/bin" "$root$installed"

cp "$here/docker-entrypoint.sh" "$root/usr/local/bin/"
echo 'root:x:0:0::/:/bin/bash
postgres:x:999:999::/var/lib/postgresql:/bin/bash' >"$root/etc/passwd"
echo 'root:x:0:
postgres:x:999:' >"$root/etc/group"
chmod 1777 "$root/tmp"
chown -R 999:999 "$root"/var/{lib,run}/postgresql
build_from_tree "$here/Dockerfile"
