import { assert, layer } from "@effect/vitest"
import { KafkaBroker } from "@origin-regions/testkit/KafkaBroker"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as NodePath from "node:path"
import { promisify } from "node:util"
import { isPrometheusHere } from "./alertlab/Prometheus.ts"
import { root } from "./Command.ts"

layer(KafkaBroker.layer, { excludeTestServices: true, timeout: "2 minutes" })("npm run alertlab", (it) => {
  it.effect("sees alerts fire for their causes, and resolve without them", (context) =>
    Effect.gen(function*() {
      if (!isPrometheusHere) return context.skip("Debian's package prometheus is not installed")
      const { brokers } = yield* KafkaBroker
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(
          process.execPath,
          [
            NodePath.join(root, "scripts/alertlab.ts"),
            "--only",
            "ConsumerDown,CredentialRefused,DeadLetters",
            "--factor",
            "60"
          ],
          { env: { PATH: process.env["PATH"], HOME: process.env["HOME"], KAFKA_BROKERS: brokers.join(",") } }
        )
      )
      const seen = [...stdout.matchAll(/^\| (\w+) +\| [^|]+ \| \d+ s \| \d+ s \|/gm)].map(([, alert]) => alert)
      assert.deepStrictEqual(seen, ["ConsumerDown", "ConsumerDown", "CredentialRefused", "DeadLetters"])
    }))
})
