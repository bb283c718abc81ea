"""What the programs of both generations have in common."""

import os
import unittest
from collections.abc import Callable
from uuid import uuid4

from cloudflare import APIStatusError, AsyncCloudflare, Cloudflare, RateLimitError

AWS = {"vendor": "aws", "region": "us-east-1"}
GCP = {"vendor": "gcp", "region": "us-central1"}

NO_ADDRESS = "Invalid or missing origin IP address."
NO_REGION = (
    "The vendor provided doesn't exist or the region provided does not exist for the specified cloud vendor"
)
NOT_FOUND = "Unable to retrieve origin_public_cloud_region setting value. The zone setting does not exist."

# The environment names the server and the credential, as users of the SDK do it. An answer that the SDK has no type for is an error.
OPTIONS = {"max_retries": 0, "_strict_response_validation": True}


class SdkCase(unittest.TestCase):
    """A test in a zone of its own."""

    maxDiff = None

    def setUp(self):
        self.zone = uuid4().hex
        self.regions = self.sdk().cache.origin_cloud_regions

    def sdk(self, **options) -> Cloudflare:
        cloudflare = Cloudflare(**{**OPTIONS, **options})
        self.addCleanup(cloudflare.close)
        return cloudflare

    def async_sdk(self) -> AsyncCloudflare:
        return AsyncCloudflare(**OPTIONS)

    def refusal(self, error: type[APIStatusError], call: Callable[[], object]) -> tuple[APIStatusError, dict[int, str]]:
        """What the call fails with: exactly this type of error, with a failure's envelope in it; and its messages by their codes."""
        with self.assertRaises(APIStatusError) as caught:
            call()
        refusal = caught.exception
        self.assertIs(type(refusal), error)
        self.assertEqual(refusal.status_code, error.status_code)
        self.assertEqual(refusal.body, {
            "success": False,
            "errors": [{"code": each.code, "message": each.message} for each in refusal.errors],
            "messages": [],
            "result": None
        })
        return refusal, {each.code: each.message for each in refusal.errors}

    def assert_refused(self, error: type[APIStatusError], codes: list[int], call: Callable[[], object]):
        self.assertEqual(list(self.refusal(error, call)[1]), codes)

    def assert_handles_a_limit(self, read: Callable[[Cloudflare], object]):
        """The second server lets two requests in, and nobody for a second after one more."""
        limited = {"base_url": os.environ["LIMITED_BASE_URL"]}
        impatient = self.sdk(**limited)
        read(impatient)
        read(impatient)
        # Its only other attempt is within the second, unless it waits as long as it is told to.
        read(self.sdk(**limited, max_retries=1))
        read(impatient)
        refusal, messages = self.refusal(RateLimitError, lambda: read(impatient))
        self.assertEqual(messages, {971: "Please wait and consider throttling your request speed"})
        self.assertEqual(refusal.response.headers["retry-after"], "1")
