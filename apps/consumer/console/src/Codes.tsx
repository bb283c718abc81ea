import { snapshot } from "./Live.ts"
import { OutcomeCode } from "./OutcomeCode.tsx"
import { shadesOf } from "./Palette.ts"
import { count, rate } from "./Units.ts"

/** The outcomes of the last fifteen minutes, by code, the most frequent first: the plot's legend, and its figures. */
export const Codes = () => {
  const now = snapshot.value
  const codes = now?.codes ?? []
  const shades = shadesOf(codes)
  const seen = codes.map((code, index) => ({
    code,
    shade: shades[index],
    window: now?.totals.window[index] ?? 0,
    minute: now?.totals.minute[index] ?? 0
  })).filter(({ window }) => window > 0).sort((one, other) => other.window - one.window)
  return (
    <section aria-labelledby="codes" class="codes">
      <h3 id="codes">
        By code <small>last 15 minutes</small>
      </h3>
      {seen.length === 0
        ? <p class="empty">{now === undefined ? "" : "No outcomes in the last 15 minutes."}</p>
        : (
          <div class="scroll" tabIndex={0} role="region" aria-labelledby="codes">
            <table>
              <thead>
                <tr>
                  <th scope="col">code</th>
                  <th scope="col" class="number">/s</th>
                  <th scope="col" class="number">count</th>
                </tr>
              </thead>
              <tbody>
                {seen.map(({ code, minute, shade, window }) => (
                  <tr key={code}>
                    <th scope="row">
                      <i class={`swatch ${shade}`} />
                      <OutcomeCode code={code} />
                    </th>
                    <td class="number">{rate(minute / 60)}</td>
                    <td class="number">{count(window)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  )
}
