/** The value that so much (0 to 1) of the values is not above. */
export const quantile = (values: ReadonlyArray<number>, part: number): number =>
  values.toSorted((one, other) => one - other)[Math.min(values.length - 1, Math.floor(values.length * part))] ??
    Number.NaN

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)
