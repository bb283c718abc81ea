import { apiErrors, rejectionNames } from "@origin-regions/domain/ApiError"
import { Option } from "effect"
import { Flag } from "effect/cli"

const results = ["created", "upserted", "deleted", "unchanged"]
const names = ["malformed_request", "expired", "gave_up"]

const known = [...results, ...rejectionNames.map((name) => `${apiErrors[name].code} (${name})`), ...names].join(", ")

/** `--code`: an outcomecode. The API can have codes that we do not know, so any number may be one. */
export const codeFlag = (description: string): Flag.Flag<ReadonlyArray<string>> =>
  Flag.String("code").pipe(
    Flag.withDescription(`${description}; may be given several times`),
    Flag.filterMap(
      (code) =>
        /^[1-9]\d{2,4}$/.test(code) || results.includes(code) || names.includes(code)
          ? Option.some(code)
          : Option.none(),
      () => `one of ${known}, or another code of the API`
    ),
    Flag.atLeast(0)
  )
