import { Schema } from "effect"

/** A cloud's own name for a region (`us-east-1`, `westeurope`). Which ones exist only the API knows: it answers 1157 for the others. */
export const Region = Schema.NonEmptyString.pipe(Schema.brand("Region"))

export type Region = typeof Region.Type
