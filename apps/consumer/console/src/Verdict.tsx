import { useSignalEffect } from "@preact/signals"
import { useRef } from "preact/hooks"
import { connection, snapshot } from "./Live.ts"
import { roomUntil } from "./Room.ts"
import { count } from "./Units.ts"
import { type Tone, verdictOf } from "./VerdictText.ts"

const marks: Readonly<Record<Tone, string>> = { good: "●", held: "◐", bad: "■", unknown: "○" }

/** Whether it is at work, and the sentences of what waits: of one height as long as there are any, and for a while after. */
export const Verdict = () => {
  const now = snapshot.value
  const until = useRef(0)
  until.current = roomUntil(until.current, now)
  const size = now !== undefined && now.time < until.current ? "roomy" : "compact"
  const [tone, text] = verdictOf(now)
  useSignalEffect(() => {
    const [tone, text] = verdictOf(snapshot.value)
    const group = snapshot.value?.member.group ?? "origin-regions"
    document.title = `${connection.value === "stale" ? "stale: " : ""}${marks[tone]} ${text} · ${group}`
  })
  return (
    <section class={`verdict ${tone} ${size}`} aria-labelledby="verdict">
      <div class="line">
        <h2 id="verdict" aria-live="polite">
          <span class="mark" aria-hidden="true">{marks[tone]}</span> {text}
        </h2>
        {now !== undefined && now.explanation.length > 2
          ? <small>{count(now.explanation.length)} things to know</small>
          : null}
      </div>
      {now === undefined ? null : now.explanation.length === 0
        ? <p class="calm">What waits, and why, stands here.</p>
        : (
          // It scrolls, so the keyboard must reach it.
          <ul tabIndex={0} aria-label="What waits, and why">
            {now.explanation.map((line) => <li key={line}>{line}</li>)}
          </ul>
        )}
    </section>
  )
}
