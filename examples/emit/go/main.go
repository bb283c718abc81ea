// Asks for a mapping, waits for what comes of it, and prints that: emit ZONE_ID IP VENDOR REGION
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type data struct {
	ZoneID string `json:"zone_id"`
	IP     string `json:"ip"`
	Vendor string `json:"vendor"`
	Region string `json:"region"`
}

type request struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Time        time.Time `json:"time"`
	Data        data      `json:"data"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: emit ZONE_ID IP VENDOR REGION")
	}
	zoneID, ip, vendor, region := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	brokers := strings.Split(cmp.Or(os.Getenv("KAFKA_BROKERS"), "localhost:9092"), ",")
	requestsTopic := cmp.Or(os.Getenv("REQUESTS_TOPIC"), "origin-regions.requests")
	outcomesTopic := cmp.Or(os.Getenv("OUTCOMES_TOPIC"), "origin-regions.outcomes")
	ctx := context.Background()

	// The canonical spelling of the address: all its requests have the same key, and so the same partition and an order.
	address, err := netip.ParseAddr(ip)
	check(err)
	asked := request{
		SpecVersion: "1.0",
		ID:          rand.Text(),
		Source:      "/examples/go",
		Type:        "dev.origin-regions.mapping.upsert.v1",
		Time:        time.Now().UTC(),
		Data:        data{zoneID, ip, vendor, region},
	}
	value, err := json.Marshal(asked)
	check(err)

	// Its default partitioner is Java's, with which all emitters agree.
	producer, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(requestsTopic))
	check(err)
	defer producer.Close()

	// Where the outcomes end now: this one's will come after. No group is joined, and nothing is committed.
	ends, err := kadm.NewClient(producer).ListEndOffsets(ctx, outcomesTopic)
	check(err)
	check(ends.Error())
	reader, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(ends.KOffsets()),
	)
	check(err)
	defer reader.Close()

	check(producer.ProduceSync(ctx, &kgo.Record{
		Key:     fmt.Appendf(nil, "%s/%s", zoneID, address),
		Value:   value,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json; charset=UTF-8")}},
	}).FirstErr())

	for {
		fetches := reader.PollFetches(ctx)
		check(fetches.Err())
		for outcome := range fetches.RecordsAll() {
			if answers(outcome, asked) {
				fmt.Println(string(outcome.Value))
				return
			}
		}
	}
}

// Outcomes repeat their attributes as headers: those of others need not be parsed.
func answers(outcome *kgo.Record, asked request) bool {
	for _, header := range outcome.Headers {
		if header.Key == "ce_causationid" && string(header.Value) == asked.ID {
			var event struct {
				Data struct {
					Request struct{ Source string }
				}
			}
			return json.Unmarshal(outcome.Value, &event) == nil && event.Data.Request.Source == asked.Source
		}
	}
	return false
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
