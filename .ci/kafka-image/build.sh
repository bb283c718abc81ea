#!/usr/bin/env bash
# Makes sure that the Kafka image of the tests is here: found, else pulled, else built under the same name. Building is
# for a CI machine that reaches Debian's and Maven's packages but no image registry; needs root, Debian, and a Docker
# daemon. Where KAFKA_IMAGE names another image, there is nothing to do.
#
# What is built has the parts of apache/kafka's interface that the tests use: settings as KAFKA_* variables, CLUSTER_ID,
# /etc/kafka/docker/run as its command, user appuser (1000), and /var/lib/kafka/data as a volume. It has none of the
# command line tools, and next to no shell commands.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../local-image.sh"
jvm=$here/../../packages/testkit/jvm
version=$(sed -n 's/^export const kafkaVersion = "\(.*\)"$/\1/p' "$jvm/../src/internal/BrokerProperties.ts")
image=apache/kafka:$version
label=dev.origin-regions.kafka-image
key=$({ echo "$version"; cat "$here"/* "$here/../local-image.sh" "$jvm"/*; } | sha256sum | cut -c1-16)

if [ -n "${KAFKA_IMAGE:-}" ] && [ "$KAFKA_IMAGE" != "$image" ]; then
  echo "KAFKA_IMAGE names $KAFKA_IMAGE."
  exit
fi

if found_or_pulled; then exit; fi

if ! command -v mvn >/dev/null || ! command -v jlink >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
    openjdk-17-jdk-headless maven >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,tmp,etc/kafka/{docker,secrets},mnt/shared/config,opt/kafka/{config,logs},var/lib/kafka/data}

mvn --quiet --batch-mode --no-transfer-progress -Dstyle.color=never --file "$jvm/pom.xml" -Dkafka.version="$version" \
  dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$root/opt/kafka/libs"

# A Java of only what a broker loads, with the archive of the JDK's own classes that halves its start.
jlink --add-modules java.se,jdk.crypto.ec,jdk.management,jdk.naming.dns,jdk.net,jdk.security.auth,jdk.security.jgss,jdk.unsupported,jdk.zipfs \
  --strip-java-debug-attributes --no-header-files --no-man-pages --output "$root/opt/java"
"$root/opt/java/bin/java" -Xshare:dump -Xlog:disable

copy_programs cat ls rm sleep
copy_libraries "$root/opt/java" "$root/bin"
# Zstandard's names it.
cp --dereference --parents "$(ldd /bin/bash | sed -nE 's/.* (\/.*)\/libc\.so.*/\1/p')/libpthread.so.0" "$root"

cp "$here"/{run,train,server.properties} "$jvm/log4j2.properties" "$root/etc/kafka/docker/"
# Kafka's own set-up wants them to be there; what it makes of them is not used.
touch "$root/etc/kafka/docker"/{log4j2,tools-log4j2}.yaml
echo 'root:x:0:0::/:/bin/bash
appuser:x:1000:1000::/tmp:/bin/bash' >"$root/etc/passwd"
echo 'root:x:0:
appuser:x:1000:' >"$root/etc/group"
chmod 1777 "$root/tmp"
chown -R 1000:1000 "$root"/{etc/kafka,mnt/shared,opt/kafka,var/lib/kafka}

build_from_tree "$here/Dockerfile"
