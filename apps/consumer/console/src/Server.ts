import type { ConsoleAnswer, ConsoleSnapshot } from "../../src/Console/ConsoleMessages.ts"

/** The token is not the one that the consumer asks for, or none was shown. */
export class Unauthorized extends Error {}

const TOKEN = "origin-regions-token"

/** Kept for this tab only, and sent in a header only: addresses end up in logs. */
export const token = {
  get: (): string | null => sessionStorage.getItem(TOKEN),
  set: (value: string): void => sessionStorage.setItem(TOKEN, value),
  remove: (): void => sessionStorage.removeItem(TOKEN)
}

const ask = async (address: string, signal: AbortSignal): Promise<Response> => {
  const shown = token.get()
  const response = await fetch(address, {
    signal,
    cache: "no-store",
    headers: shown === null ? {} : { authorization: `Bearer ${shown}` }
  })
  if (response.status === 401) throw new Unauthorized()
  return response
}

/** Where the requests are that this text names. Fails with the server's own words. */
export const findRequests = async (text: string, signal: AbortSignal): Promise<ConsoleAnswer> => {
  const response = await ask(`requests?${new URLSearchParams({ text })}`, signal)
  const body = await response.json() as ConsoleAnswer & { readonly error?: string }
  if (!response.ok) throw new Error(body.error ?? `the consumer has answered ${response.status}`)
  return body
}

/** The data of server-sent events, one after the other, until the stream ends. By `fetch`, as EventSource can't show a token. */
export const events = async function*(signal: AbortSignal): AsyncGenerator<ConsoleSnapshot> {
  const response = await ask("events", signal)
  if (!response.ok || response.body === null) throw new Error(`the consumer has answered ${response.status}`)
  let text = ""
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n\n")
    text = parts.pop() ?? ""
    for (const part of parts) {
      if (part.startsWith("data: ")) yield JSON.parse(part.slice("data: ".length)) as ConsoleSnapshot
    }
  }
}
