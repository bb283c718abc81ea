"""Cloudflare's Python SDK of 5.0 and 5.1, which speaks generation 1, against the API."""

import asyncio
from datetime import datetime, timezone

from cloudflare import BadRequestError, NotFoundError, PermissionDeniedError
from sdk_case import AWS, GCP, NO_ADDRESS, NO_REGION, NOT_FOUND, SdkCase


class Operations(SdkCase):
    def test_a_zone_without_mappings(self):
        self.assertEqual(self.regions.list(zone_id=self.zone).to_dict(), {
            "id": "origin_public_cloud_region", "editable": True, "modified_on": None, "value": []
        })

    def test_a_mapping_from_its_creation_to_its_end(self):
        before = datetime.now(timezone.utc).replace(microsecond=0)
        created = self.regions.create(zone_id=self.zone, ip="192.0.2.1", **AWS)
        self.assertGreaterEqual(created.modified_on, before)
        self.assertEqual(created.to_dict(), {
            "id": "origin_public_cloud_region",
            "editable": True,
            "modified_on": created.modified_on,
            "value": {"origin-ip": "192.0.2.1", **AWS, "modified_on": created.modified_on}
        })
        self.assertEqual(self.regions.get("192.0.2.1", zone_id=self.zone).to_dict(), created.to_dict())
        edited = self.regions.edit(zone_id=self.zone, ip="192.0.2.1", **GCP)
        self.assertEqual(edited.to_dict(), {
            **created.to_dict(),
            "modified_on": edited.modified_on,
            "value": [{"origin-ip": "192.0.2.1", **GCP, "modified_on": edited.modified_on}]
        })
        self.assertEqual(self.regions.list(zone_id=self.zone).to_dict(), edited.to_dict())
        deleted = self.regions.delete("192.0.2.1", zone_id=self.zone)
        self.assertEqual(deleted.value, edited.value[0])
        self.assertEqual(self.regions.list(zone_id=self.zone).value, [])

    def test_ipv6(self):
        created = self.regions.create(zone_id=self.zone, ip="2001:0DB8::0001", **GCP)
        self.assertEqual(created.value.origin_ip, "2001:db8::1")
        for spelling in ["2001:db8::1", "2001:DB8:0:0:0:0:0:1"]:
            self.assertEqual(self.regions.get(spelling, zone_id=self.zone).to_dict(), created.to_dict())
        edited = self.regions.edit(zone_id=self.zone, ip="2001:db8:0::1", **AWS)
        self.assertEqual([(each.origin_ip, each.vendor) for each in edited.value], [("2001:db8::1", "aws")])
        self.assertEqual(self.regions.delete("2001:DB8::1", zone_id=self.zone).value.origin_ip, "2001:db8::1")

    def test_batches(self):
        edited = self.regions.bulk_edit(zone_id=self.zone, body=[
            {"ip": "192.0.2.1", **AWS},
            {"ip": "192.0.2", **AWS},
            {"ip": "192.0.2.3", "vendor": "aws", "region": "us-central1"},
            {"ip": "2001:DB8::2", **GCP}
        ])
        self.assertIsInstance(edited.modified_on, datetime)
        self.assertEqual(edited.value.to_dict(), {
            "succeeded": [{"origin-ip": "192.0.2.1", **AWS}, {"origin-ip": "2001:db8::2", **GCP}],
            "failed": [{"origin-ip": "192.0.2", "error": NO_ADDRESS}, {"origin-ip": "192.0.2.3", "error": NO_REGION}]
        })
        # The method has no parameter of its own for the addresses.
        deleted = self.regions.bulk_delete(zone_id=self.zone, extra_body=["2001:db8:0::2", "192.0.2.9"])
        self.assertEqual(deleted.modified_on, edited.modified_on)
        self.assertEqual([each.to_dict() for each in deleted.value.succeeded], [{"origin-ip": "2001:db8::2", **GCP}])
        self.assertEqual([each.origin_ip for each in deleted.value.failed], ["192.0.2.9"])
        self.assertIsNone(self.regions.bulk_delete(zone_id=self.zone, extra_body=["192.0.2.9"]).modified_on)
        self.assertEqual([each.origin_ip for each in self.regions.list(zone_id=self.zone).value], ["192.0.2.1"])

    def test_supported_regions(self):
        vendors = self.regions.supported_regions(zone_id=self.zone).vendors
        self.assertEqual({vendor: len(regions) for vendor, regions in vendors.items()}, {
            "aws": 34, "azure": 58, "gcp": 43, "oci": 46
        })
        self.assertIn("us-central1", [region.name for region in vendors["gcp"]])

    def test_the_asynchronous_client(self):
        async def create_ten():
            async with self.async_sdk() as cloudflare:
                regions = cloudflare.cache.origin_cloud_regions
                await asyncio.gather(
                    *(regions.create(zone_id=self.zone, ip=f"192.0.2.{last}", **AWS) for last in range(10))
                )
                return await regions.list(zone_id=self.zone)

        self.assertEqual(len(asyncio.run(create_ten()).value), 10)


class Refusals(SdkCase):
    def test_an_address_that_has_a_mapping(self):
        self.regions.create(zone_id=self.zone, ip="2001:db8::1", **AWS)
        _, messages = self.refusal(
            BadRequestError, lambda: self.regions.create(zone_id=self.zone, ip="2001:DB8::1", **GCP)
        )
        self.assertEqual(messages, {
            1145: "Unable to create new origin_public_cloud_region setting. The zone setting already exists."
        })
        self.assertEqual(self.regions.get("2001:db8::1", zone_id=self.zone).value.vendor, "aws")

    def test_what_is_no_address(self):
        _, messages = self.refusal(
            BadRequestError, lambda: self.regions.create(zone_id=self.zone, ip="192.0.2.1/32", **AWS)
        )
        self.assertEqual(messages, {1146: NO_ADDRESS})
        too_many = [{"ip": f"192.0.2.{last}", **AWS} for last in range(101)]
        for call in [
            lambda: self.regions.edit(zone_id=self.zone, ip="", **AWS),
            lambda: self.regions.get("192.0.2", zone_id=self.zone),
            lambda: self.regions.delete("010.0.0.1", zone_id=self.zone),
            lambda: self.regions.bulk_edit(zone_id=self.zone, body=[]),
            lambda: self.regions.bulk_edit(zone_id=self.zone, body=too_many),
            # Without a body.
            lambda: self.regions.bulk_delete(zone_id=self.zone)
        ]:
            self.assert_refused(BadRequestError, [1146], call)
        self.assertEqual(self.regions.list(zone_id=self.zone).value, [])

    def test_a_region_of_another_vendor(self):
        _, messages = self.refusal(
            BadRequestError,
            lambda: self.regions.edit(zone_id=self.zone, ip="192.0.2.1", vendor="gcp", region="us-east-1")
        )
        self.assertEqual(messages, {1157: NO_REGION})
        self.assertEqual(self.regions.list(zone_id=self.zone).value, [])

    def test_what_is_not_there(self):
        _, messages = self.refusal(NotFoundError, lambda: self.regions.get("192.0.2.1", zone_id=self.zone))
        self.assertEqual(messages, {1142: NOT_FOUND})
        self.assert_refused(NotFoundError, [1163], lambda: self.regions.delete("192.0.2.1", zone_id=self.zone))

    def test_credentials(self):
        by_key = {"api_token": "", "api_email": "a@example.com"}
        for wrong in [{"api_token": "wrong"}, {**by_key, "api_key": "wrong"}]:
            regions = self.sdk(**wrong).cache.origin_cloud_regions
            self.assert_refused(PermissionDeniedError, [10000], lambda: regions.list(zone_id=self.zone))
        regions = self.sdk(**by_key, api_key="k3y").cache.origin_cloud_regions
        self.assertEqual(regions.list(zone_id=self.zone).value, [])

    def test_what_can_be_no_zone(self):
        self.assert_refused(BadRequestError, [7003, 7000], lambda: self.regions.list(zone_id="z" * 33))

    def test_a_limit(self):
        self.assert_handles_a_limit(lambda sdk: sdk.cache.origin_cloud_regions.list(zone_id=self.zone))
