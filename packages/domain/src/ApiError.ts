/**
 * What a caller does about an API error:
 *
 * - `reject`: the request is at fault, for good;
 * - `absent`: there is no such mapping;
 * - `retry`: the API is at fault, try again;
 * - `wait`: the quota is used up, try again when the API says;
 * - `credential`: nobody's request is at fault, the credential is.
 */
export type ApiErrorCategory = "reject" | "absent" | "retry" | "wait" | "credential"

/** One row of the catalogue: the code in `errors[].code`, the HTTP status it comes with, our name, and the API's text, verbatim. */
export interface ApiErrorEntry {
  readonly code: number
  readonly status: number
  readonly category: ApiErrorCategory
  readonly message: string
}

const entry = (code: number, status: number, category: ApiErrorCategory, message: string): ApiErrorEntry => ({
  code,
  status,
  category,
  message
})

/**
 * Every error of the origin cloud regions API, by our name for it. A code can have several texts (1146 has three).
 *
 * Sources: the API's reference pages for the product's own codes; Cloudflare's general errors as its users report them. The text of 1163
 * is not published, and is ours.
 */
export const apiErrors = {
  internal_error: entry(
    1140,
    500,
    "retry",
    "Unable to update origin_public_cloud_region setting value. Internal error."
  ),
  not_found: entry(
    1142,
    404,
    "absent",
    "Unable to retrieve origin_public_cloud_region setting value. The zone setting does not exist."
  ),
  already_exists: entry(
    1145,
    400,
    "reject",
    "Unable to create new origin_public_cloud_region setting. The zone setting already exists."
  ),
  invalid_ip: entry(1146, 400, "reject", "Invalid or missing origin IP address."),
  ip_mismatch: entry(1146, 400, "reject", "body origin_ip does not match URL"),
  invalid_per_page: entry(1146, 400, "reject", "invalid per_page parameter, must be between 1 and 100"),
  region_check_failed: entry(1156, 500, "retry", "Failed to validate region against cloud vendor"),
  unsupported_region: entry(
    1157,
    400,
    "reject",
    "The vendor provided doesn't exist or the region provided does not exist for the specified cloud vendor"
  ),
  nothing_to_delete: entry(
    1163,
    404,
    "absent",
    "Unable to delete origin_public_cloud_region setting value. The zone setting does not exist."
  ),
  limit_reached: entry(1164, 403, "reject", "Maximum number of IP mappings configured for zone."),
  not_in_plan: entry(1135, 403, "reject", "This setting is not available for your plan type."),
  unknown_zone: entry(
    7003,
    400,
    "reject",
    "Could not route to the requested path, perhaps your object identifier is invalid?"
  ),
  no_route: entry(7000, 400, "reject", "No route for that URI"),
  invalid_headers: entry(6003, 400, "credential", "Invalid request headers"),
  missing_credential: entry(9106, 400, "credential", "Missing X-Auth-Key, X-Auth-Email or Authorization headers"),
  unknown_key: entry(9103, 403, "credential", "Unknown X-Auth-Key or X-Auth-Email"),
  invalid_token: entry(9109, 403, "credential", "Invalid access token"),
  authentication_error: entry(10000, 403, "credential", "Authentication error"),
  rate_limited: entry(971, 429, "wait", "Please wait and consider throttling your request speed"),
  rate_limited_legacy: entry(10100, 429, "wait", "More than 1200 requests per 300 seconds reached.")
} as const satisfies Record<string, ApiErrorEntry>

export type ApiErrorName = keyof typeof apiErrors

const nameOfCode: ReadonlyMap<number, ApiErrorName> = new Map(
  // Reversed, so that the first row of a code gives its name.
  (Object.keys(apiErrors) as Array<ApiErrorName>).toReversed().map((name) => [apiErrors[name].code, name])
)

/** Our name for a code, or `undefined` for one that is not in the catalogue. */
export const apiErrorName = (code: number): ApiErrorName | undefined => nameOfCode.get(code)

/** The codes that an outcome event can be `rejected` with by their own name; any other is `rejected_by_api`. */
export const rejectionNames = [
  "already_exists",
  "invalid_ip",
  "unsupported_region",
  "limit_reached",
  "unknown_zone"
] as const

export type RejectionName = typeof rejectionNames[number]
