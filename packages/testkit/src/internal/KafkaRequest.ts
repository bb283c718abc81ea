import { Effect } from "effect"
import { connect } from "node:net"

/**
 * Just enough of the Kafka protocol to ask a broker a question; by hand, because the test kit stands below the Kafka
 * client in the package graph. Meant for request versions without tagged fields. Source: kafka.apache.org/protocol.
 */
export interface KafkaRequest {
  readonly apiKey: number
  readonly apiVersion: number
  readonly body: Buffer
}

export interface KafkaAddress {
  readonly host: string
  readonly port: number
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export const string = (value: string): Buffer => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])

const correlation = int32(1)
const clientId = string("origin-regions-testkit")

/** Sends one request on a connection of its own. Answers the response's body; fails with a clause that says what is wrong. */
export const request = (
  address: KafkaAddress,
  { apiKey, apiVersion, body }: KafkaRequest
): Effect.Effect<Buffer, string> =>
  Effect.callback((resume) => {
    const message = Buffer.concat([int16(apiKey), int16(apiVersion), correlation, clientId, body])
    let received = Buffer.alloc(0)
    const socket = connect(address)
    socket.on("connect", () => socket.write(Buffer.concat([int32(message.length), message])))
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4) return
      const end = 4 + received.readInt32BE(0)
      if (received.length < end) return
      socket.destroy()
      resume(
        received.length >= 8 && received.subarray(4, 8).equals(correlation)
          ? Effect.succeed(received.subarray(8, end))
          : Effect.fail("what answers is no Kafka broker")
      )
    })
    socket.on("error", (error) => resume(Effect.fail(error.message)))
    socket.on("close", () => resume(Effect.fail("the connection was closed")))
    return Effect.sync(() => socket.destroy())
  })
