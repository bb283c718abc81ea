"""Cloudflare's Python SDK from 5.2 on, which speaks generation 2, against the API."""

import asyncio
from datetime import datetime, timezone

from cloudflare import BadRequestError, NotFoundError, PermissionDeniedError
from sdk_case import AWS, GCP, NO_ADDRESS, NO_REGION, NOT_FOUND, SdkCase


class Operations(SdkCase):
    def put(self, origin_ip: str, placement: dict[str, str]):
        return self.regions.update(origin_ip, zone_id=self.zone, body_origin_ip=origin_ip, **placement)

    def test_a_zone_without_mappings(self):
        page = self.regions.list(zone_id=self.zone)
        self.assertEqual(page.result, [])
        self.assertEqual(page.result_info.to_dict(), {
            "page": 1, "per_page": 20, "count": 0, "total_count": 0, "total_pages": 0
        })

    def test_a_mapping_from_its_creation_to_its_end(self):
        before = datetime.now(timezone.utc).replace(microsecond=0)
        created = self.put("192.0.2.1", AWS)
        self.assertGreaterEqual(created.modified_on, before)
        self.assertEqual(created.to_dict(), {"origin_ip": "192.0.2.1", **AWS, "modified_on": created.modified_on})
        self.assertEqual(self.regions.get("192.0.2.1", zone_id=self.zone).to_dict(), created.to_dict())
        replaced = self.put("192.0.2.1", GCP)
        self.assertEqual(replaced.to_dict(), {"origin_ip": "192.0.2.1", **GCP, "modified_on": replaced.modified_on})
        self.assertEqual([each.to_dict() for each in self.regions.list(zone_id=self.zone)], [replaced.to_dict()])
        self.assertEqual(self.regions.delete("192.0.2.1", zone_id=self.zone).to_dict(), {"origin_ip": "192.0.2.1"})
        self.assertEqual(list(self.regions.list(zone_id=self.zone)), [])

    def test_ipv6(self):
        created = self.put("2001:0DB8::0001", GCP)
        self.assertEqual(created.origin_ip, "2001:db8::1")
        for spelling in ["2001:db8::1", "2001:DB8:0:0:0:0:0:1"]:
            self.assertEqual(self.regions.get(spelling, zone_id=self.zone).to_dict(), created.to_dict())
        replaced = self.regions.update("2001:db8:0::1", zone_id=self.zone, body_origin_ip="2001:DB8::1", **AWS)
        self.assertEqual([each.to_dict() for each in self.regions.list(zone_id=self.zone)], [replaced.to_dict()])
        self.assertEqual(self.regions.delete("2001:DB8::1", zone_id=self.zone).origin_ip, "2001:db8::1")

    def test_pages(self):
        addresses = sorted(f"192.0.2.{last}" for last in range(95))
        self.regions.bulk_update(zone_id=self.zone, body=[{"origin_ip": each, **AWS} for each in addresses])
        for options in [{}, {"per_page": 19}, {"per_page": 95}, {"per_page": 100}]:
            listed = self.regions.list(zone_id=self.zone, **options)
            self.assertEqual([each.origin_ip for each in listed], addresses)
        third = self.regions.list(zone_id=self.zone, page=3, per_page=40)
        self.assertEqual([each.origin_ip for each in third.result], addresses[80:])
        self.assertEqual(third.result_info.to_dict(), {
            "page": 3, "per_page": 40, "count": 15, "total_count": 95, "total_pages": 3
        })
        # The SDK asks on until a page is empty, whatever the totals say.
        self.assertEqual(third.get_next_page().result, [])

    def test_batches(self):
        updated = self.regions.bulk_update(zone_id=self.zone, body=[
            {"origin_ip": "192.0.2.1", **AWS},
            {"origin_ip": "192.0.2", **AWS},
            {"origin_ip": "192.0.2.3", "vendor": "aws", "region": "us-central1"},
            {"origin_ip": "2001:DB8::2", **GCP}
        ])
        self.assertEqual(updated.to_dict(), {
            "succeeded": [{"origin_ip": "192.0.2.1", **AWS}, {"origin_ip": "2001:db8::2", **GCP}],
            "failed": [{"origin_ip": "192.0.2", "error": NO_ADDRESS}, {"origin_ip": "192.0.2.3", "error": NO_REGION}]
        })
        # The method has no parameter of its own for the addresses.
        deleted = self.regions.bulk_delete(zone_id=self.zone, extra_body=["2001:db8:0::2", "192.0.2.9"])
        self.assertEqual(deleted.to_dict(), {
            "succeeded": [{"origin_ip": "2001:db8::2", **GCP}],
            "failed": [{"origin_ip": "192.0.2.9", "error": NOT_FOUND}]
        })
        self.assertEqual([each.origin_ip for each in self.regions.list(zone_id=self.zone)], ["192.0.2.1"])

    def test_supported_regions(self):
        vendors = self.regions.supported_regions(zone_id=self.zone).vendors
        self.assertEqual({vendor: len(regions) for vendor, regions in vendors.items()}, {
            "aws": 34, "azure": 58, "gcp": 43, "oci": 46
        })
        self.assertIn("us-central1", [region.name for region in vendors["gcp"]])

    def test_the_asynchronous_client(self):
        async def put_many():
            async with self.async_sdk() as cloudflare:
                regions = cloudflare.cache.origin_cloud_regions
                await asyncio.gather(*(
                    regions.update(each, zone_id=self.zone, body_origin_ip=each, **AWS)
                    for each in (f"192.0.2.{last}" for last in range(25))
                ))
                return [each.origin_ip async for each in regions.list(zone_id=self.zone)]

        self.assertEqual(len(set(asyncio.run(put_many()))), 25)


class Refusals(SdkCase):
    def put(self, path: str, origin_ip: str, vendor: str, region: str):
        return lambda: self.regions.update(
            path, zone_id=self.zone, body_origin_ip=origin_ip, vendor=vendor, region=region
        )

    def test_addresses(self):
        for path, origin_ip, message in [
            ("192.0.2.1", "192.0.2.2", "body origin_ip does not match URL"),
            ("192.0.2.1", "::ffff:192.0.2.1", "body origin_ip does not match URL"),
            ("192.0.2.1", "", NO_ADDRESS),
            ("192.0.2.0/24", "192.0.2.0/24", NO_ADDRESS),
            ("fe80::1%eth0", "fe80::1%eth0", NO_ADDRESS)
        ]:
            _, messages = self.refusal(BadRequestError, self.put(path, origin_ip, **AWS))
            self.assertEqual(messages, {1146: message})
        too_many = [{"origin_ip": f"192.0.2.{last}", **AWS} for last in range(101)]
        for call in [
            lambda: self.regions.get("192.0.2", zone_id=self.zone),
            lambda: self.regions.delete("010.0.0.1", zone_id=self.zone),
            lambda: self.regions.bulk_update(zone_id=self.zone, body=[]),
            lambda: self.regions.bulk_update(zone_id=self.zone, body=too_many),
            # Without a body.
            lambda: self.regions.bulk_delete(zone_id=self.zone)
        ]:
            self.assert_refused(BadRequestError, [1146], call)
        self.assertEqual(list(self.regions.list(zone_id=self.zone)), [])

    def test_pages(self):
        for options in [{"per_page": 0}, {"per_page": 101}, {"page": 0}]:
            _, messages = self.refusal(BadRequestError, lambda: self.regions.list(zone_id=self.zone, **options))
            self.assertEqual(messages, {1146: "invalid per_page parameter, must be between 1 and 100"})

    def test_a_region_of_another_vendor(self):
        _, messages = self.refusal(BadRequestError, self.put("192.0.2.1", "192.0.2.1", "gcp", "us-east-1"))
        self.assertEqual(messages, {1157: NO_REGION})
        self.assertEqual(list(self.regions.list(zone_id=self.zone)), [])

    def test_what_is_not_there(self):
        for call in [self.regions.get, self.regions.delete]:
            _, messages = self.refusal(NotFoundError, lambda: call("192.0.2.1", zone_id=self.zone))
            self.assertEqual(messages, {1142: NOT_FOUND})

    def test_a_full_zone(self):
        # 3,500 mappings.
        for net in range(35):
            body = [{"origin_ip": f"10.0.{net}.{last}", **AWS} for last in range(100)]
            self.regions.bulk_update(zone_id=self.zone, body=body)
        _, messages = self.refusal(PermissionDeniedError, self.put("192.0.2.1", "192.0.2.1", **AWS))
        self.assertEqual(messages, {1164: "Maximum number of IP mappings configured for zone."})
        self.put("10.0.0.0", "10.0.0.0", **GCP)()

    def test_credentials(self):
        by_key = {"api_token": "", "api_email": "a@example.com"}
        for wrong in [{"api_token": "wrong"}, {**by_key, "api_key": "wrong"}]:
            regions = self.sdk(**wrong).cache.origin_cloud_regions
            self.assert_refused(PermissionDeniedError, [10000], lambda: regions.list(zone_id=self.zone))
        regions = self.sdk(**by_key, api_key="k3y").cache.origin_cloud_regions
        self.assertEqual(list(regions.list(zone_id=self.zone)), [])

    def test_what_can_be_no_zone(self):
        self.assert_refused(BadRequestError, [7003, 7000], lambda: self.regions.list(zone_id="z" * 33))

    def test_a_limit(self):
        self.assert_handles_a_limit(lambda sdk: sdk.cache.origin_cloud_regions.list(zone_id=self.zone))
