import { Codes } from "./Codes.tsx"
import { Figures } from "./Figures.tsx"
import { LatencyPlot } from "./LatencyPlot.tsx"
import { connection, snapshot } from "./Live.ts"
import { Masthead } from "./Masthead.tsx"
import { Outcomes } from "./Outcomes.tsx"
import { OutcomesPlot } from "./OutcomesPlot.tsx"
import { Partitions } from "./Partitions.tsx"
import { Search } from "./Search.tsx"
import { SignIn } from "./SignIn.tsx"
import { Verdict } from "./Verdict.tsx"

/** The page: is it at work, and what waits and why, before all else. */
export const ConsoleApp = () => {
  if (connection.value === "refused") return <SignIn />
  const now = snapshot.value
  return (
    <>
      <Masthead />
      <main class={connection.value === "stale" ? "stale" : ""} aria-busy={now === undefined}>
        <Verdict />
        <Figures />
        <Search />
        <div class="plots">
          <OutcomesPlot />
          <LatencyPlot />
          <Codes />
        </div>
        <div class="tables">
          <Outcomes />
          <Partitions />
        </div>
      </main>
    </>
  )
}
