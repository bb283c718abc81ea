/** What to look at where a group has done nothing at all. */
export const nothingCommitted = (groupId: string): string =>
  `The group ${groupId} has committed nothing for this topic: is --group (KAFKA_GROUP_ID) right, and is a consumer at work?`
