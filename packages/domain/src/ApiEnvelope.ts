import { Schema } from "effect"

/** One entry of `errors` or `messages` in the API's envelope. */
export const ResponseInfo = Schema.Struct({
  code: Schema.Int,
  message: Schema.String,
  documentation_url: Schema.optionalKey(Schema.String)
})

export type ResponseInfo = typeof ResponseInfo.Type

/** What every answer of the API is wrapped in. `result` is `null` on failure; some answers leave `messages` and `result` out. */
export const ApiEnvelope = Schema.Struct({
  success: Schema.Boolean,
  errors: Schema.Array(ResponseInfo),
  messages: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  result: Schema.optionalKey(Schema.Unknown)
})

export type ApiEnvelope = typeof ApiEnvelope.Type
