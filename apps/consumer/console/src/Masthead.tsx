import icon from "../icon.svg"
import { connection, signOut, snapshot } from "./Live.ts"
import { token } from "./Server.ts"
import { clockTime } from "./Units.ts"

const Heard = () => {
  const now = snapshot.value
  switch (connection.value) {
    case "live":
      return <span class="heard live">live · {now === undefined ? "" : clockTime(now.time)} UTC</span>
    case "stale":
      return (
        <span class="heard old">
          stale since {now === undefined ? "" : clockTime(now.time)} UTC · the consumer does not answer, trying again
        </span>
      )
    default:
      return <span class="heard">connecting…</span>
  }
}

/** Whose page it is, and how fresh. */
export const Masthead = () => {
  const member = snapshot.value?.member
  return (
    <header>
      <h1>
        <img src={icon} alt="" width="18" height="18" />
        origin-regions
      </h1>
      <p class="whose">
        {member === undefined
          ? ""
          : (
            <>
              <span>group</span> <b>{member.group}</b> <span>reads</span> <b>{member.topic}</b>
            </>
          )}
      </p>
      <p role="status" class="state">
        <Heard />
      </p>
      {token.get() === null ? null : <button type="button" class="quiet" onClick={signOut}>Sign out</button>}
    </header>
  )
}
