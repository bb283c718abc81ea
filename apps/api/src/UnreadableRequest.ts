import type { ApiErrorName } from "@origin-regions/domain/ApiError"
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { failureEnvelope } from "./Envelope.ts"

const unreadable = (name: ApiErrorName) => {
  const body = JSON.stringify(failureEnvelope([name]))
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  }
  return { body, headers }
}

/** The answer to what is against HTTP. */
export const malformed = { status: 400, ...unreadable("invalid_headers") }

const answerOfParserError: Readonly<Record<string, typeof malformed>> = {
  HPE_HEADER_OVERFLOW: { ...malformed, status: 431 },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { ...malformed, status: 413 },
  // A slow network is nobody's bad header: the request may be sent again.
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, ...unreadable("internal_error") }
}

/** How long a client may take to read such an answer and to close its side, before the connection is cut. */
const lingerMillis = 1000

/** Answers what is no HTTP request, on the bare socket, with the envelope all the same. */
export const answerUnreadable = (server: Server): void => {
  const latest = new WeakMap<Duplex, { readonly request: IncomingMessage; readonly response: ServerResponse }>()
  const note = (request: IncomingMessage, response: ServerResponse) =>
    void latest.set(request.socket, { request, response })
  server.prependListener("request", note)
  server.prependListener("checkExpectation", note)
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const last = latest.get(socket)
    // A whole request that came before is being done, and its answer is the first that is due.
    if (last?.request.complete === true && !last.response.writableFinished) {
      socket.pause()
      last.response.once("finish", () => refuse(error, socket))
    } else {
      refuse(error, socket)
    }
  })
}

const refuse = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === "ECONNRESET") {
    socket.destroy()
    return
  }
  // What still comes of a request that was given up must not be done, and one who goes on after an answer is not listened to.
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT" || socket.writableEnded) socket.pause()
  if (socket.writable) socket.end(textOf(answerOfParserError[error.code ?? ""] ?? malformed))
  if (socket instanceof Socket) socket.setTimeout(lingerMillis, () => socket.destroy())
}

const textOf = ({ body, headers, status }: typeof malformed): string => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, "", body].join("\r\n")
}
