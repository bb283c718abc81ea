import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"
import { makeNetworkLink } from "./NetworkLink.ts"

/** What has happened to a connection, one thing after another. */
interface Conversation {
  readonly say: (text: string) => void
  /** The next that is heard; `cut` when the connection has ended. */
  readonly next: Effect.Effect<string>
}

const conversation = (socket: Socket): Conversation => {
  const heard: Array<string> = []
  const listeners: Array<(text: string) => void> = []
  const hear = (text: string) => {
    const listener = listeners.shift()
    if (listener === undefined) heard.push(text)
    else listener(text)
  }
  socket.on("data", (chunk: Buffer) => hear(chunk.toString()))
  socket.on("error", () => {})
  socket.on("close", () => hear("cut"))
  return {
    say: (text) => socket.write(text),
    next: Effect.callback((resume) => {
      const text = heard.shift()
      if (text === undefined) listeners.push((text) => resume(Effect.succeed(text)))
      else resume(Effect.succeed(text))
    })
  }
}

/** A server whose connections are to be had one after another. */
const makeServer = Effect.gen(function*() {
  const accepted: Array<Conversation> = []
  const listeners: Array<(conversation: Conversation) => void> = []
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        const listener = listeners.shift()
        if (listener === undefined) accepted.push(conversation(socket))
        else listener(conversation(socket))
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const address = server.address()
  return {
    address: `127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    accept: Effect.callback<Conversation>((resume) => {
      const conversation = accepted.shift()
      if (conversation === undefined) listeners.push((each) => resume(Effect.succeed(each)))
      else resume(Effect.succeed(conversation))
    })
  }
})

const call = (address: string): Effect.Effect<Conversation, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const [host = "", port] = address.split(":")
        return connect(Number(port), host)
      }),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    conversation
  )

/** Both ends of a connection over a link that works. */
const talk = Effect.gen(function*() {
  const server = yield* makeServer
  const link = yield* makeNetworkLink(server.address)
  const client = yield* call(link.address)
  const accepted = yield* server.accept
  client.say("question")
  assert.strictEqual(yield* accepted.next, "question")
  accepted.say("answer")
  assert.strictEqual(yield* client.next, "answer")
  return { server, link, client, accepted }
})

describe("NetworkLink", () => {
  it.effect("passes on what both sides say, and that one has ended", () =>
    Effect.gen(function*() {
      const { accepted, client, server } = yield* talk
      const short = yield* Effect.scoped(Effect.andThen(call(server.address), server.accept))
      assert.strictEqual(yield* short.next, "cut")
      client.say("more")
      assert.strictEqual(yield* accepted.next, "more")
    }))

  it.effect("closed, cuts what is open and refuses what comes", () =>
    Effect.gen(function*() {
      const { accepted, client, link, server } = yield* talk
      yield* link.set("closed")
      assert.strictEqual(yield* client.next, "cut")
      assert.strictEqual(yield* accepted.next, "cut")
      assert.strictEqual(yield* (yield* call(link.address)).next, "cut")
      yield* link.set("open")
      const again = yield* call(link.address)
      again.say("again")
      assert.strictEqual(yield* (yield* server.accept).next, "again")
    }))

  it.effect("losing requests, cuts before the server has heard anything", () =>
    Effect.gen(function*() {
      const { accepted, client, link } = yield* talk
      yield* link.set("losing requests")
      client.say("lost")
      assert.strictEqual(yield* client.next, "cut")
      assert.strictEqual(yield* accepted.next, "cut")
    }))

  it.effect("losing answers, cuts when the server has heard and answers", () =>
    Effect.gen(function*() {
      const { accepted, client, link } = yield* talk
      yield* link.set("losing answers")
      client.say("heard")
      assert.strictEqual(yield* accepted.next, "heard")
      accepted.say("lost")
      assert.strictEqual(yield* client.next, "cut")
    }))

  it.effect("silent, lets both sides wait, and cuts when that is over", () =>
    Effect.gen(function*() {
      const { accepted, client, link, server } = yield* talk
      yield* link.set("silent")
      client.say("lost")
      accepted.say("lost")
      const another = yield* call(link.address)
      another.say("lost")
      const third = yield* server.accept
      yield* link.set("open")
      // Nothing was heard before.
      for (const side of [client, accepted, another, third]) assert.strictEqual(yield* side.next, "cut")
    }))

  it.effect("translates what the server says", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const link = yield* makeNetworkLink(server.address, (address) => (pass) => (chunk) => {
        pass(Buffer.from(`${address} says ${chunk}`))
      })
      const client = yield* call(link.address)
      const accepted = yield* server.accept
      accepted.say("hello")
      assert.strictEqual(yield* client.next, `${link.address} says hello`)
    }))
})
