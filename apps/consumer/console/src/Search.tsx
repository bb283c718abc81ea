import { signal, useSignalEffect } from "@preact/signals"
import type { ConsoleAnswer, ConsoleRequest } from "../../src/Console/ConsoleMessages.ts"
import { connect, snapshot } from "./Live.ts"
import { OutcomeTable } from "./OutcomeTable.tsx"
import { findRequests, Unauthorized } from "./Server.ts"
import { count, moment, plural } from "./Units.ts"

const typed = signal("")
/** What is looked for, and looked for again with every event as long as it is shown. */
const sought = signal("")
const found = signal<ConsoleAnswer | { readonly problem: string } | undefined>(undefined)
let asking: AbortController | undefined

const ask = async (text: string) => {
  const aborted = new AbortController()
  asking = aborted
  try {
    const answer = await findRequests(text, aborted.signal)
    if (sought.peek() === text) found.value = answer
  } catch (error) {
    if (error instanceof Unauthorized) connect()
    else if (sought.peek() === text && !aborted.signal.aborted) {
      found.value = { problem: error instanceof Error ? error.message : "the consumer does not answer" }
    }
  } finally {
    if (asking === aborted) asking = undefined
  }
}

const look = (text: string) => {
  asking?.abort()
  found.value = undefined
  sought.value = text
  if (text !== "") void ask(text)
}

const Request = ({ now, request }: { readonly now: number; readonly request: ConsoleRequest }) => {
  const { explanation, id, ip, offset, operation, partition, source, state, timestamp, zone_id } = request
  return (
    <li>
      <p class={`where ${state}`}>{explanation}</p>
      <p class="faint">
        {operation ?? "unreadable"} <span class="mono">{zone_id ?? "–"}/{ip ?? "–"}</span>, request{" "}
        <span class="mono">{id ?? "–"}</span> of <span class="mono">{source ?? "–"}</span>, partition {partition} offset
        {" "}
        {offset}
        {timestamp === null ? "" : `, written ${moment(timestamp, now)} UTC`}
      </p>
    </li>
  )
}

const summary = ({ outcomes_found, requests_found }: ConsoleAnswer): string => {
  if (requests_found + outcomes_found === 0) return "Not here"
  const parts = [
    ...requests_found === 0 ? [] : [`${plural(requests_found, "request")} without an outcome`],
    ...outcomes_found === 0 ? [] : [`${plural(outcomes_found, "outcome")}`]
  ]
  return parts.join(", ")
}

const more = (shown: number, all: number): string => all > shown ? `, of which these are ${count(shown)}` : ""

const Answer = ({ answer, now }: { readonly answer: ConsoleAnswer; readonly now: number }) => {
  const { explanation, outcomes, outcomes_found, requests, requests_found } = answer
  return (
    <>
      <p class="summary">
        <b>{summary(answer)}</b>
        {more(requests.length + outcomes.length, requests_found + outcomes_found)}
      </p>
      {explanation.map((line) => <p key={line} class="notes">{line}</p>)}
      {requests.length + outcomes.length === 0 ?
        null :
        (
          <div class="scroll" tabIndex={0} role="region" aria-label="What was found">
            {requests.length === 0 ? null : (
              <ul class="requests">
                {requests.map((request) => (
                  <Request key={`${request.partition}@${request.offset}`} request={request} now={now} />
                ))}
              </ul>
            )}
            {outcomes.length === 0 ? null : <OutcomeTable outcomes={outcomes} now={now} />}
          </div>
        )}
    </>
  )
}

/** Where is my request? */
export const Search = () => {
  // The answer is of a moment: it is asked for again as long as it is shown.
  useSignalEffect(() => {
    if (snapshot.value !== undefined && sought.value !== "" && asking === undefined) void ask(sought.value)
  })
  const answer = found.value
  const now = snapshot.value?.time ?? 0
  return (
    <section class="search">
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          look(typed.value.trim())
        }}
      >
        <label for="search">Where is my request?</label>
        <input
          id="search"
          type="search"
          value={typed.value}
          placeholder="zone/address, zone, address or request id"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={({ currentTarget }) => {
            typed.value = currentTarget.value
            if (currentTarget.value === "") look("")
          }}
        />
        <button type="submit">Find</button>
      </form>
      <div class={sought.value === "" ? "" : "answer"} aria-live="polite">
        {sought.value === "" ? null : answer === undefined
          ? <p class="faint">Looking…</p>
          : "problem" in answer
          ? <p class="problem">{answer.problem}</p>
          : <Answer answer={answer} now={now} />}
      </div>
    </section>
  )
}
