"""Asks for a mapping, waits for what comes of it, and prints that: emit.py ZONE_ID IP VENDOR REGION"""

import ipaddress
import json
import os
import sys
import uuid
from datetime import datetime, timezone

from confluent_kafka import Consumer, Producer, TopicPartition

zone_id, ip, vendor, region = sys.argv[1:]
brokers = os.environ.get("KAFKA_BROKERS", "localhost:9092")
requests_topic = os.environ.get("REQUESTS_TOPIC", "origin-regions.requests")
outcomes_topic = os.environ.get("OUTCOMES_TOPIC", "origin-regions.outcomes")

request = {
    "specversion": "1.0",
    "id": str(uuid.uuid4()),
    "source": "/examples/python",
    "type": "dev.origin-regions.mapping.upsert.v1",
    "time": datetime.now(timezone.utc).isoformat(),
    "data": {"zone_id": zone_id, "ip": ip, "vendor": vendor, "region": region},
}

# One spelling for each address: all its requests have the same key, and so the same partition and an order.
address = ipaddress.ip_address(ip)
mapped = address.ipv4_mapped if address.version == 6 else None
key = f"{zone_id}/{address if mapped is None else f'::ffff:{mapped}'}"

# Where the outcomes end now: this one's will come after. No group is joined, and nothing is committed.
consumer = Consumer(
    {"bootstrap.servers": brokers, "group.id": "none", "enable.auto.commit": False, "isolation.level": "read_committed"}
)
partitions = [TopicPartition(outcomes_topic, p) for p in consumer.list_topics(outcomes_topic).topics[outcomes_topic].partitions]
for partition in partitions:
    _, partition.offset = consumer.get_watermark_offsets(partition)
consumer.assign(partitions)


def delivered(error, _message):
    if error is not None:
        sys.exit(f"The request was not sent: {error}")


# librdkafka's default partitioner is not Java's, with which all emitters agree: murmur2_random is.
producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "partitioner": "murmur2_random"})
producer.produce(
    requests_topic,
    key=key,
    value=json.dumps(request),
    headers={"content-type": "application/cloudevents+json; charset=UTF-8"},
    on_delivery=delivered,
)
producer.flush()

while True:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error() is not None:
        sys.exit(f"The outcomes can't be read: {message.error()}")
    # Outcomes repeat their attributes as headers: those of others need not be parsed.
    if ("ce_causationid", request["id"].encode()) not in (message.headers() or []):
        continue
    outcome = json.loads(message.value())
    if outcome["data"]["request"]["source"] == request["source"]:
        print(json.dumps(outcome))
        break

consumer.close()
