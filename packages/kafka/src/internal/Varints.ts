/** Numbers from 0 to 2^53, seven bits a byte, the lowest first; the high bit says that more follow. Not by bit operations, which stop at 2^32. */
export const pushVarint = (bytes: Array<number>, value: number): void => {
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
}

/** The varints at the front of the bytes, up to `count` of them, and the bytes behind them; `undefined` where the last is cut off. */
export const readVarints = (
  bytes: Uint8Array,
  count: number
): { readonly values: ReadonlyArray<number>; readonly rest: Uint8Array } | undefined => {
  const values: Array<number> = []
  let index = 0
  while (values.length < count && index < bytes.length) {
    let value = 0
    let scale = 1
    let byte = 0x80
    while (byte >= 0x80) {
      byte = bytes[index++] ?? Number.NaN
      value += (byte & 0x7f) * scale
      scale *= 0x80
    }
    if (Number.isNaN(byte) || !Number.isSafeInteger(value)) return undefined
    values.push(value)
  }
  return { values, rest: bytes.subarray(index) }
}

/** Makes numbers of either sign small where they are near zero. */
export const zigzag = (value: number): number => value < 0 ? -value * 2 - 1 : value * 2

export const unzigzag = (value: number): number => value % 2 === 1 ? -(value + 1) / 2 : value / 2
