"""
What Cloudflare's contract says otherwise than Schemathesis' own checks expect: two checks instead of theirs, which expect other statuses and look at
nothing else, and the failures of two more that are none, for exactly the answers that the contract gives.
"""

import json
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

NO_ROUTE = (
    400,
    (7003, "Could not route to the requested path, perhaps your object identifier is invalid?"),
    (7000, "No route for that URI")
)
NO_CREDENTIAL = 400, (9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
MALFORMED_CREDENTIAL = 400, (6003, "Invalid request headers")
UNKNOWN_CREDENTIAL = 403, (10000, "Authentication error")
ALREADY_EXISTS = (
    400,
    (1145, "Unable to create new origin_public_cloud_region setting. The zone setting already exists.")
)
ANOTHER_ADDRESS = 400, (1146, "body origin_ip does not match URL")


def refusal_of(response) -> tuple | None:
    """Status, codes and messages of an answer that is a failure's envelope and nothing else."""
    try:
        body = response.json()
    except ValueError:
        return None
    match body:
        case {"success": False, "errors": [_, *_] as errors, "messages": [], "result": None} if len(body) == 4:
            return response.status_code, *((error.get("code"), error.get("message")) for error in errors)
    return None


session = requests.Session()
session.trust_env = False


def answer_to(request: requests.PreparedRequest, credential: dict[str, str]) -> tuple | None:
    """How the same request is refused with another credential; `None` where it is not."""
    again = request.copy()
    for header in ("Authorization", "X-Auth-Email", "X-Auth-Key"):
        again.headers.pop(header, None)
    again.headers.update(credential)
    return refusal_of(session.send(again, allow_redirects=False))


def fails_in_part(response, case) -> bool:
    """Whether it is a batch of which something was refused."""
    if response.status_code != 200 or not case.path.endswith("/batch"):
        return False
    result = response.json()["result"]
    return len(result.get("value", result)["failed"]) > 0


@schemathesis.hook.apply_to(method="PUT", path_regex=r"/\{origin_ip\}$")
def flatmap_case(context, case):
    """Every other address of a path is that of the body: two that are drawn apart are never the same, and are refused."""
    if not case.meta.generation.mode.is_positive:
        return strategies.just(case)

    def addressed(same: bool):
        if same:
            case.path_parameters["origin_ip"] = case.body["origin_ip"]
        return case

    return strategies.booleans().map(addressed)


def names_two_addresses(request: requests.PreparedRequest) -> bool:
    in_path = unquote(urlsplit(request.url).path.rpartition("/")[2])
    return ip_address(in_path) != ip_address(json.loads(request.body)["origin_ip"])


@schemathesis.hook
def filter_failure(context, failure, case, response) -> bool:
    match failure:
        # A schema can't say what is stored already, nor that two addresses of a request have to be the same.
        case RejectedPositiveData():
            match case.method, refusal_of(response):
                case "POST", refusal if refusal == ALREADY_EXISTS:
                    return False
                case "PUT", refusal if refusal == ANOTHER_ADDRESS:
                    return not names_two_addresses(response.request)
        # The items of a batch are looked at one by one, and those at fault are in a 200.
        case AcceptedNegativeData():
            return not fails_in_part(response, case)
    return True


@schemathesis.check
class CredentialIsRequired:
    """Instead of `ignored_auth`: whoever sends no credential that counts is told so, whatever else there is to say about the request."""

    def __init__(self):
        self.done = set()

    def after_response(self, ctx, response, case):
        # Routes are looked for first.
        if refusal_of(response) == NO_ROUTE:
            return
        expected = [({}, NO_CREDENTIAL)]
        kind = case.operation.label, response.status_code
        if kind not in self.done:
            expected += [
                ({"X-Auth-Email": "a@example.com"}, NO_CREDENTIAL),
                ({"X-Auth-Key": "unknown"}, NO_CREDENTIAL),
                ({"X-Auth-Email": "a@example.com", "X-Auth-Key": "unknown"}, UNKNOWN_CREDENTIAL),
                ({"Authorization": "Bearer unknown"}, UNKNOWN_CREDENTIAL),
                ({"Authorization": "Basic unknown"}, MALFORMED_CREDENTIAL)
            ]
        for credential, refusal in expected:
            answer = answer_to(response.request, credential)
            assert answer == refusal, f"With {credential or 'no credential'} it answers {answer}, not {refusal}"
        self.done.add(kind)


@schemathesis.check
def undeclared_method_has_no_route(ctx, response, case):
    """Instead of `unsupported_method`: what the document does not declare leads nowhere, for anybody."""
    method = response.request.method
    declared = {each.upper() for each in case.operation.schema[case.operation.path]}
    if method in {*declared, "HEAD"}:
        return
    for answer in (refusal_of(response), answer_to(response.request, {})):
        assert answer == NO_ROUTE, f"{method} answers {answer}, not {NO_ROUTE}"
