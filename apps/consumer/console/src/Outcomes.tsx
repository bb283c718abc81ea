import { useState } from "preact/hooks"
import { outcomes, snapshot } from "./Live.ts"
import { OutcomeTable } from "./OutcomeTable.tsx"

/** The last outcomes. They stand still while they are pointed at or focused, to be read and copied. */
export const Outcomes = () => {
  const [held, setHeld] = useState<typeof outcomes.value | undefined>(undefined)
  const now = snapshot.value
  const shown = held ?? outcomes.value
  const hold = () => setHeld((already) => already ?? outcomes.value)
  const letGo = () => setHeld(undefined)
  return (
    <section aria-labelledby="outcomes" class="recent">
      <h3 id="outcomes">
        Last outcomes{" "}
        <small>
          {held === undefined || shown.length === 0 ? "published by this member" : "held while you read them"}
        </small>
      </h3>
      {shown.length === 0
        ? <p class="empty">{now === undefined ? "" : "This member has published no outcome since it started."}</p>
        : (
          <div
            class="scroll"
            tabIndex={0}
            role="region"
            aria-labelledby="outcomes"
            onPointerEnter={hold}
            onPointerLeave={letGo}
            onFocus={hold}
            onBlur={letGo}
          >
            <OutcomeTable outcomes={shown} now={now?.time ?? 0} />
          </div>
        )}
    </section>
  )
}
