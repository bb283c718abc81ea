import { useEffect, useRef } from "preact/hooks"
import icon from "../icon.svg"
import { connect, refusals } from "./Live.ts"
import { token } from "./Server.ts"

/** Asks for the token. It stays in this tab, and goes into no address. */
export const SignIn = () => {
  const input = useRef<HTMLInputElement>(null)
  const wasRefused = refusals.value > 0 && token.get() !== null
  useEffect(() => input.current?.focus(), [])
  return (
    <main class="sign-in">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          token.set(input.current?.value.trim() ?? "")
          connect()
        }}
      >
        <h1>
          <img src={icon} alt="" width="18" height="18" />
          origin-regions
        </h1>
        <label for="token">Token</label>
        <input
          id="token"
          ref={input}
          type="password"
          required
          autocomplete="current-password"
          aria-describedby="token-note"
          aria-invalid={wasRefused}
        />
        <p id="token-note" role={wasRefused ? "alert" : undefined} class={wasRefused ? "problem" : "faint"}>
          {wasRefused
            ? "This token was not accepted: it is what HTTP_TOKEN is set to at the consumer."
            : "What HTTP_TOKEN is set to at the consumer. It is kept for this tab only."}
        </p>
        <button type="submit">Sign in</button>
      </form>
    </main>
  )
}
