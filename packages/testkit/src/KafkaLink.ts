import { Effect, type Scope } from "effect"
import { addressBytes, wholeMessages } from "./KafkaMessages.ts"
import { makeNetworkLink, type NetworkLink } from "./NetworkLink.ts"

interface Renamed {
  readonly broker: Buffer
  readonly link: Buffer
}

/** Puts the links' addresses in the place of the brokers': the same number of bytes, as all are on 127.0.0.1. */
const rename = (message: Buffer, renamed: ReadonlyArray<Renamed>) => {
  for (const { broker, link } of renamed) {
    for (let at = message.indexOf(broker); at >= 0; at = message.indexOf(broker, at + 1)) link.copy(message, at)
  }
}

/** Links to the brokers of one cluster on 127.0.0.1, in their order. Clients that come by them stay on them: they are told their addresses for the brokers'. */
export const makeKafkaLinks: (
  brokers: ReadonlyArray<string>
) => Effect.Effect<ReadonlyArray<NetworkLink>, never, Scope.Scope> = Effect.fnUntraced(function*(brokers) {
  const renamed: Array<Renamed> = []
  return yield* Effect.forEach(brokers, (broker) =>
    makeNetworkLink(broker, (link) => {
      renamed.push({ broker: addressBytes(broker), link: addressBytes(link) })
      return (pass) =>
        wholeMessages((message) => {
          rename(message, renamed)
          pass(message)
        })
    }))
})

/** A link to the only broker there is. */
export const makeKafkaLink: (broker: string) => Effect.Effect<NetworkLink, never, Scope.Scope> = Effect.fnUntraced(
  function*(broker) {
    const [link] = yield* makeKafkaLinks([broker])
    return link ?? (yield* Effect.die("no link"))
  }
)
