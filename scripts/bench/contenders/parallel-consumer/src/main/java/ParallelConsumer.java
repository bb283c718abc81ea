import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import io.confluent.parallelconsumer.PollContext;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What one writes in Java: Confluent's parallel consumer in key order, with the JDK's HTTP client. */
final class ParallelConsumer {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final String api = System.getenv("CLOUDFLARE_BASE_URL");
  private final String outcomes = System.getenv("OUTCOMES_TOPIC");

  public static void main(String[] arguments) {
    // As much at once as our consumer fetches.
    var consumer = new KafkaConsumer<>(
        Map.<String, Object>of(
            "bootstrap.servers", System.getenv("KAFKA_BROKERS"),
            "group.id", System.getenv("KAFKA_GROUP_ID"),
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false,
            "fetch.max.wait.ms", 200,
            "max.partition.fetch.bytes", 512 * 1024,
            "fetch.max.bytes", 4 * 1024 * 1024),
        new StringDeserializer(),
        new StringDeserializer());
    // Lingers as clients of Kafka 4 do: each call waits for its record, and one request a record is what the broker would be busy with.
    var producer = new KafkaProducer<>(
        Map.<String, Object>of("bootstrap.servers", System.getenv("KAFKA_BROKERS"), "acks", "all", "linger.ms", 5),
        new StringSerializer(),
        new StringSerializer());
    var options = ParallelConsumerOptions.<String, String>builder()
        .ordering(ProcessingOrder.KEY)
        .maxConcurrency(Integer.parseInt(System.getenv("CONCURRENCY")))
        .consumer(consumer)
        .producer(producer)
        .build();
    var processor = ParallelStreamProcessor.createEosStreamProcessor(options);
    processor.subscribe(List.of(System.getenv("REQUESTS_TOPIC")));
    processor.pollAndProduce(new ParallelConsumer()::apply);
  }

  private ProducerRecord<String, String> apply(PollContext<String, String> context) {
    try {
      var request = JSON.readTree(context.value());
      return outcomeOf(context.key(), request, upsert(request.get("data")));
    } catch (IOException exception) {
      throw new IllegalStateException(exception);
    } catch (InterruptedException exception) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(exception);
    }
  }

  private JsonNode upsert(JsonNode data) throws IOException, InterruptedException {
    var body = JSON.createObjectNode();
    for (var field : List.of("ip", "vendor", "region")) body.set(field, data.get(field));
    var zone = data.get("zone_id").textValue();
    var request = HttpRequest.newBuilder(URI.create(api + "/zones/" + zone + "/cache/origin_cloud_regions"))
        .method("PATCH", BodyPublishers.ofString(JSON.writeValueAsString(body)))
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .header("authorization", "Bearer none")
        .build();
    HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() != 200) throw new IOException("The API answered " + response.statusCode());
    return JSON.readTree(response.body());
  }

  private ProducerRecord<String, String> outcomeOf(String key, JsonNode request, JsonNode answer) throws IOException {
    var id = request.get("id").textValue();
    var time = Instant.now().toString();
    var outcome = JSON.createObjectNode()
        .put("specversion", "1.0")
        .put("id", UUID.randomUUID().toString())
        .put("source", "/bench/contender")
        .put("type", "dev.origin-regions.mapping.succeeded.v1")
        .put("subject", key)
        .put("time", time)
        .put("causationid", id);
    var data = outcome.putObject("data");
    data.putObject("request").put("id", id);
    data.set("mapping", answer.at("/result/value/0"));
    var headers = new RecordHeaders()
        .add("content-type", bytes("application/cloudevents+json"))
        .add("ce_causationid", bytes(id))
        .add("ce_time", bytes(time));
    return new ProducerRecord<>(outcomes, null, key, JSON.writeValueAsString(outcome), headers);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
