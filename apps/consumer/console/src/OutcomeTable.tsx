import type { ConsoleOutcome } from "../../src/Console/ConsoleMessages.ts"
import { OutcomeCode } from "./OutcomeCode.tsx"
import { durationText, moment } from "./Units.ts"

export interface OutcomeTableProps {
  readonly outcomes: ReadonlyArray<ConsoleOutcome>
  readonly now: number
}

/** Outcomes, from the latest on. On a phone each takes two lines. */
export const OutcomeTable = ({ now, outcomes }: OutcomeTableProps) => (
  <table class="outcomes">
    <thead>
      <tr>
        <th scope="col">time, UTC</th>
        <th scope="col">outcome</th>
        <th scope="col">zone</th>
        <th scope="col">address</th>
        <th scope="col">request</th>
        <th scope="col" class="number" title="From the request's record to the outcome">took</th>
        <th scope="col" class="number" title="Calls that may have changed something">calls</th>
      </tr>
    </thead>
    <tbody>
      {outcomes.map((
        { attempts, code, id, ip, offset, operation, partition, recovered, source, time, took, zone_id }
      ) => (
        <tr key={`${partition}@${offset}`}>
          <td class="time">{moment(time, now)}</td>
          <td class="what">
            <OutcomeCode code={code} />
            {recovered ? <span class="tag" title="An earlier attempt had applied it">recovered</span> : null}
          </td>
          <td class="mono zone">{zone_id ?? "–"}</td>
          <td class="mono address">{ip ?? "–"}</td>
          <td
            class="mono request"
            title={`${operation ?? "unknown"}, source ${source ?? "unknown"}, partition ${partition}, offset ${offset}`}
          >
            {id ?? "–"}
          </td>
          <td class="number took">{durationText(took)}</td>
          <td class="number attempts">{attempts}</td>
        </tr>
      ))}
    </tbody>
  </table>
)
