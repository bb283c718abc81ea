import { Schema } from "effect"

/** The clouds a mapping can name, as the API spells them: lower case. */
export const Vendor = Schema.Literals(["aws", "azure", "gcp", "oci"]).pipe(Schema.brand("Vendor"))

export type Vendor = typeof Vendor.Type

/** Whether the API knows this vendor; anything else is a 1157 without a call. */
export const isVendor = Schema.is(Vendor)
