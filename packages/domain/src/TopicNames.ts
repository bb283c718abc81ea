/** The topics' default names; each is a setting of the programs that use it. */
export const topicNames = {
  requests: "origin-regions.requests",
  outcomes: "origin-regions.outcomes",
  deadLetters: "origin-regions.dead-letters"
} as const
