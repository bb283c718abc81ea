/** The whole number that a text is in decimal digits, or `undefined` where it is none or out of bounds. */
export const wholeNumber = (text: string, minimum: number, maximum: number): number | undefined => {
  const number = Number(text)
  return /^\d+$/.test(text) && number >= minimum && number <= maximum ? number : undefined
}
