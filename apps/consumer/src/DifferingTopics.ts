import { plural } from "./StatusReport.ts"

const MAX_HOSTS = 3

/** `2 members, on 10.0.0.3 and 10.0.0.4` */
const who = (hosts: ReadonlyArray<string>): string => {
  const distinct = [...new Set(hosts)].toSorted()
  const named = distinct.length > MAX_HOSTS
    ? [...distinct.slice(0, MAX_HOSTS), `${distinct.length - MAX_HOSTS} more`]
    : distinct
  return `${plural(hosts.length, "member")}, on ${named.join(", ").replace(/, ([^,]*)$/, " and $1")}`
}

/** Says that members of a group are subscribed to different topics, where they are; by topic, the hosts of its members. */
export const differingTopics = (
  groupId: string,
  subscriptions: ReadonlyMap<string, ReadonlyArray<string>>
): string | undefined => {
  if (subscriptions.size < 2) return undefined
  const topics = [...subscriptions].toSorted(([one], [other]) => one < other ? -1 : 1)
  return `members of the group ${groupId} are subscribed to different topics: ${
    topics.map(([topic, hosts]) => `${topic} (${who(hosts)})`).join("; ")
  }. Each topic is worked on by its own members alone. Finish the roll-out of REQUESTS_TOPIC, or give each deployment its own KAFKA_GROUP_ID and carry its offsets over`
}
