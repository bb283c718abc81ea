#!/usr/bin/env bash
# Asks for a mapping, waits for what comes of it, and prints that: emit.sh ZONE_ID IP VENDOR REGION
# Needs kcat. The address goes into the key as it is, so give it in its canonical form (RFC 5952).
set -euo pipefail

zone_id=$1 ip=$2 vendor=$3 region=$4
brokers=${KAFKA_BROKERS:-localhost:9092}
requests=${REQUESTS_TOPIC:-origin-regions.requests}
outcomes=${OUTCOMES_TOPIC:-origin-regions.outcomes}
id=shell-$(date +%s)-$$-$RANDOM
# The clocks may differ by a minute.
since=$((($(date +%s) - 60) * 1000))

# A bare event: with no content-type header at all it is read as one. librdkafka's default partitioner is not Java's, with
# which all emitters agree: murmur2_random is.
printf '%s|{"specversion":"1.0","id":"%s","source":"/examples/shell","type":"%s","data":{"zone_id":"%s","ip":"%s","vendor":"%s","region":"%s"}}\n' \
  "$zone_id/$ip" "$id" dev.origin-regions.mapping.upsert.v1 "$zone_id" "$ip" "$vendor" "$region" |
  kcat -P -b "$brokers" -t "$requests" -K '|' -X partitioner=murmur2_random -X acks=all

# All outcomes since then, again and again until it is among them; outcomes repeat their attributes as headers.
until kcat -C -q -e -b "$brokers" -t "$outcomes" -o "s@$since" -f '%h\t%s\n' | grep -F "ce_causationid=$id," | cut -f 2; do
  sleep 0.2
done
