/**
 * The API's generation 1 as far as upserts, alone and in batches, need it, with as little cost of its own as can be had: every upsert is applied when it comes and
 * answered so many milliseconds later (`LATENCY`). A request's region ends in its turn among those of its address, so that what comes twice or out of
 * turn shows. `GET /report` tells.
 *
 * On bare sockets, and no more of HTTP than its callers send: `node:http` costs several times as much.
 */
import { createServer, type Socket } from "node:net"
import { setTimeout as after } from "node:timers"

const latency = Number(process.env["LATENCY"])

interface Address {
  /** The highest turn that has come. */
  highest: number
  /** Calls that have come and are not answered. */
  underWay: number
}

const addresses = new Map<string, Address>()
const applied = new Set<string>()
const report = {
  /** HTTP requests with upserts, and the upserts. */
  requests: 0,
  calls: 0,
  answered: 0,
  duplicates: 0,
  reordered: 0,
  overlapping: 0,
  /** Of the last answer, in milliseconds since 1970, as `at` is. */
  answeredAt: 0
}

const now = () => performance.timeOrigin + performance.now()

/** Counts what has come; gives what it came to. */
const apply = (path: string, ip: string, region: string): Address => {
  const name = `${path} ${ip}`
  let address = addresses.get(name)
  if (address === undefined) addresses.set(name, address = { highest: -1, underWay: 0 })
  const turn = Number(region.slice(region.lastIndexOf("-") + 1))
  const call = `${name} ${turn}`
  report.calls += 1
  if (applied.has(call)) report.duplicates += 1
  else if (turn < address.highest) report.reordered += 1
  applied.add(call)
  address.highest = Math.max(address.highest, turn)
  if (address.underWay > 0) report.overlapping += 1
  address.underWay += 1
  return address
}

let dateAt = 0
let date = ""

const answer = (socket: Socket, status: string, body: string) => {
  const second = Math.floor(now() / 1000)
  if (second !== dateAt) [dateAt, date] = [second, new Date(second * 1000).toUTCString()]
  socket.write(
    `HTTP/1.1 ${status}\r\ndate: ${date}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    "latin1"
  )
}

type UpsertBody = Readonly<Record<string, string>>

const wrapped = (value: unknown, modified_on: string): string => {
  const result = { id: "origin_public_cloud_region", editable: true, modified_on, value }
  return JSON.stringify({ success: true, errors: [], messages: [], result })
}

const upserted = ({ ip, region, vendor }: UpsertBody): string => {
  const modified_on = new Date().toISOString()
  return wrapped([{ "origin-ip": ip, vendor, region, modified_on }], modified_on)
}

const upsertedAll = (mappings: ReadonlyArray<UpsertBody>): string =>
  wrapped(
    { succeeded: mappings.map(({ ip, region, vendor }) => ({ "origin-ip": ip, vendor, region })), failed: [] },
    new Date().toISOString()
  )

const BATCH = "/batch"

const called = (socket: Socket, head: string, body: string) => {
  const [method, path] = head.split(" ", 2)
  if (path === "/report") return answer(socket, "200 OK", JSON.stringify({ ...report, at: now() }))
  if (method !== "PATCH" || path === undefined) return answer(socket, "200 OK", "{}")
  const isBatch = path.endsWith(BATCH)
  const zone = isBatch ? path.slice(0, -BATCH.length) : path
  const parsed = JSON.parse(body) as UpsertBody | ReadonlyArray<UpsertBody>
  const mappings = Array.isArray(parsed) ? parsed as ReadonlyArray<UpsertBody> : [parsed as UpsertBody]
  report.requests += 1
  const addresses = mappings.map(({ ip = "", region = "" }) => apply(zone, ip, region))
  after(() => {
    for (const address of addresses) address.underWay -= 1
    report.answered += addresses.length
    report.answeredAt = now()
    answer(socket, "200 OK", isBatch ? upsertedAll(mappings) : upserted(mappings[0] ?? {}))
  }, latency)
}

const END_OF_HEAD = "\r\n\r\n"

const server = createServer({ noDelay: true }, (socket) => {
  let pending = ""
  // Nothing that is sent here has other characters than ASCII's.
  socket.setEncoding("latin1").on("data", (text: string) => {
    pending += text
    for (;;) {
      const headEnd = pending.indexOf(END_OF_HEAD)
      if (headEnd === -1) return
      const head = pending.slice(0, headEnd)
      if (/\r\ntransfer-encoding:/i.test(head)) return socket.destroy()
      const end = headEnd + END_OF_HEAD.length + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
      if (pending.length < end) return
      const body = pending.slice(headEnd + END_OF_HEAD.length, end)
      pending = pending.slice(end)
      called(socket, head, body)
    }
  })
  socket.on("error", () => socket.destroy())
})

// As many connections at once as one of Linux's own limits allows.
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`)
})

process.on("SIGTERM", () => process.exit())
