/** Loaded into a process before all else (`node --import`): its wall clock is as many milliseconds ahead of the machine's as a file says. */
import { readFileSync } from "node:fs"

const file = process.env["CLOCK_SHIFT_FILE"] ?? ""
let shift = 0

const read = () => {
  shift = Number(readFileSync(file, "utf8"))
}

read()
// oxlint-disable-next-line eslint/no-restricted-globals -- there is no Effect here yet
setInterval(read, 50).unref()

// oxlint-disable-next-line eslint/no-restricted-properties -- this is what sets the time
const { now } = Date
const shiftedNow = () => now() + shift

globalThis.Date = new Proxy(Date, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [shiftedNow()] : values, newTarget),
  get: (target, name) => name === "now" ? shiftedNow : Reflect.get(target, name)
})
