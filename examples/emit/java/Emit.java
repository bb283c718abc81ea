import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Asks for a mapping, waits for what comes of it, and prints that: Emit ZONE_ID IP VENDOR REGION */
public class Emit {
  static final String BROKERS = System.getenv().getOrDefault("KAFKA_BROKERS", "localhost:9092");
  static final String REQUESTS = System.getenv().getOrDefault("REQUESTS_TOPIC", "origin-regions.requests");
  static final String OUTCOMES = System.getenv().getOrDefault("OUTCOMES_TOPIC", "origin-regions.outcomes");

  public static void main(String[] args) throws Exception {
    String zoneId = args[0], ip = args[1], vendor = args[2], region = args[3];
    String id = UUID.randomUUID().toString();
    // A service would leave this to its JSON library.
    String request = """
        {"specversion": "1.0", "id": "%s", "source": "/examples/java",
         "type": "dev.origin-regions.mapping.upsert.v1", "time": "%s",
         "data": {"zone_id": "%s", "ip": "%s", "vendor": "%s", "region": "%s"}}
        """.formatted(id, Instant.now(), zoneId, ip, vendor, region);

    // The address in its canonical form (RFC 5952), so that all its requests have one key, and so one partition and an
    // order. Java's own partitioner is the one that all emitters agree on.
    ProducerRecord<String, String> record = new ProducerRecord<>(REQUESTS, zoneId + "/" + ip, request);
    record.headers().add("content-type", utf8("application/cloudevents+json; charset=UTF-8"));

    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
            Map.of("bootstrap.servers", BROKERS, "isolation.level", "read_committed", "enable.auto.commit", "false"),
            new StringDeserializer(), new StringDeserializer());
        KafkaProducer<String, String> producer = new KafkaProducer<>(
            Map.of("bootstrap.servers", BROKERS), new StringSerializer(), new StringSerializer())) {
      // Where the outcomes end now: this one's will come after. No group is joined, and nothing is committed.
      List<TopicPartition> partitions = consumer.partitionsFor(OUTCOMES).stream()
          .map(partition -> new TopicPartition(OUTCOMES, partition.partition())).toList();
      consumer.assign(partitions);
      consumer.endOffsets(partitions).forEach(consumer::seek);

      producer.send(record).get();

      while (true) {
        for (ConsumerRecord<String, String> outcome : consumer.poll(Duration.ofSeconds(1))) {
          // Outcomes repeat their attributes as headers: none needs to be parsed to see whose it is.
          Header causation = outcome.headers().lastHeader("ce_causationid");
          if (causation == null || !id.equals(new String(causation.value(), StandardCharsets.UTF_8))) continue;
          System.out.println(outcome.value());
          return;
        }
      }
    }
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
