import type { Effect, Scope } from "effect"
import { addressBytes, wholeMessages } from "./KafkaMessages.ts"
import { makeNetworkLink, type NetworkLink, type Translator } from "./NetworkLink.ts"

/** Puts the link's address in the place of the broker's in every answer: the same number of bytes, as both are on 127.0.0.1. */
const staying = (broker: string) => (link: string): Translator => {
  const theirs = addressBytes(broker)
  const own = addressBytes(link)
  return (pass) =>
    wholeMessages((message) => {
      for (let at = message.indexOf(theirs); at >= 0; at = message.indexOf(theirs, at + 1)) own.copy(message, at)
      pass(message)
    })
}

/** A link to a broker on 127.0.0.1. Clients that come this way stay on it: they are told its address for the broker's. */
export const makeKafkaLink = (broker: string): Effect.Effect<NetworkLink, never, Scope.Scope> =>
  makeNetworkLink(broker, staying(broker))
