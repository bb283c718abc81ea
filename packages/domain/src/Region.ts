import { Schema } from "effect"

/** The longest names have some twenty characters. What is far longer is none, and could be more than the API takes in a body. */
const MAX_LENGTH = 255

/** A cloud's own name for a region (`us-east-1`, `westeurope`). Which ones exist only the API knows: it answers 1157 for the others. */
export const Region = Schema.NonEmptyString.check(Schema.isMaxLength(MAX_LENGTH)).pipe(Schema.brand("Region"))

export type Region = typeof Region.Type
