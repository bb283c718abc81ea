import { snapshot } from "./Live.ts"
import { count } from "./Units.ts"

/** What this member has of the topic, and how far behind it is. */
export const Partitions = () => {
  const now = snapshot.value
  const partitions = now?.partitions ?? []
  const longest = Math.max(1, ...partitions.map(({ lag }) => lag ?? 0))
  return (
    <section aria-labelledby="partitions" class="partitions">
      <h3 id="partitions">
        Partitions <small>of this member</small>
      </h3>
      {partitions.length === 0
        ? <p class="empty">{now === undefined ? "" : "This member has no partitions."}</p>
        : (
          <div class="scroll" tabIndex={0} role="region" aria-labelledby="partitions">
            <table>
              <thead>
                <tr>
                  <th scope="col" class="number" title="The partition's number">no.</th>
                  <th scope="col" class="number" title="Records without an outcome, those not read included">lag</th>
                  <th scope="col">
                    <span class="hidden">lag, drawn</span>
                  </th>
                  <th scope="col" class="number" title="Records read that have no outcome">in hand</th>
                  <th scope="col" class="number" title="Of these: what waits to be tried again">waiting</th>
                  <th scope="col" class="number" title="The first offset without an outcome">head</th>
                  <th scope="col">reading</th>
                </tr>
              </thead>
              <tbody>
                {partitions.map(({ head, lag, partition, paused, undone, waiting }) => (
                  <tr key={partition}>
                    <th scope="row" class="number">{partition}</th>
                    <td class="number">{lag === null ? "–" : count(lag)}</td>
                    <td class="bar" aria-hidden="true">
                      <svg viewBox="0 0 100 6" preserveAspectRatio="none">
                        <rect width={100 * (lag ?? 0) / longest} height="6" />
                      </svg>
                    </td>
                    <td class="number">{count(undone)}</td>
                    <td class={waiting > 0 ? "number held" : "number"}>{count(waiting)}</td>
                    <td class="number faint">{head}</td>
                    <td class={paused ? "held" : "faint"}>{paused ? "paused" : "on"}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  )
}
