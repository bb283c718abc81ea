import type { PartitionAssigner } from "kafkajs"
import { MemberAssignment, MemberMetadata, PartitionAssigners } from "./PatchedKafkaJS.ts"

/** A member as the group's leader sees it. `partitions` is how many each of its topics has, as far as it says so. */
export interface GroupSubscriber {
  readonly memberId: string
  readonly topics: ReadonlyArray<string>
  readonly partitions: number
}

/** What a member has joined with. Of one that speaks otherwise nothing is known, and it gets nothing. */
export const subscriptionOf = (metadata: Buffer): Omit<GroupSubscriber, "memberId"> => {
  try {
    const decoded = MemberMetadata.decode(metadata)
    const partitions = /^\d+ (\d{1,6})$/.exec(decoded?.userData.toString() ?? "")?.[1]
    return { topics: decoded?.topics ?? [], partitions: Number(partitions ?? 0) }
  } catch {
    return { topics: [], partitions: 0 }
  }
}

/** By member and topic. */
export type Shares = ReadonlyMap<string, Readonly<Record<string, ReadonlyArray<number>>>>

/** Deals each topic's partitions, in turn, to the members that are subscribed to it, and to no others. `known` has the leader's own topics. */
export const share = (members: ReadonlyArray<GroupSubscriber>, known: ReadonlyMap<string, number>): Shares => {
  const shares = new Map<string, Record<string, Array<number>>>()
  const sorted = members.toSorted((one, other) => one.memberId < other.memberId ? -1 : 1)
  for (const topic of new Set(members.flatMap(({ topics }) => topics))) {
    const subscribers = sorted.filter(({ topics }) => topics.includes(topic))
    const count = known.get(topic) ?? Math.max(...subscribers.map(({ partitions }) => partitions))
    subscribers.slice(0, count).forEach(({ memberId }, first) => {
      const owned: Array<number> = []
      for (let partition = first; partition < count; partition += subscribers.length) owned.push(partition)
      shares.set(memberId, { ...shares.get(memberId), [topic]: owned })
    })
  }
  return shares
}

/**
 * kafkajs' round robin deals the leader's topics to all members, also to those that are subscribed to others: these would lie, and those of the others
 * would not be read at all. The leader may not be allowed to look at a topic of others, so that members say themselves how many partitions theirs has.
 *
 * The coordinator begins a new generation for a follower only where what it says has changed: hence `rejoins`.
 */
export const groupAssigner = (rejoins: () => number): PartitionAssigner => (config) => {
  const roundRobin = PartitionAssigners.roundRobin(config)
  const countOf = (topic: string) => config.cluster.findTopicPartitionMetadata(topic).length
  return {
    ...roundRobin,
    protocol: ({ topics }) => ({
      name: roundRobin.name,
      metadata: MemberMetadata.encode({
        version: 0,
        topics,
        userData: Buffer.from(`${rejoins()} ${Math.max(...topics.map(countOf))}`)
      })
    }),
    assign: async ({ members, topics }) => {
      const subscribers = members.map(({ memberId, memberMetadata }) => ({
        memberId,
        ...subscriptionOf(memberMetadata)
      }))
      const shares = share(subscribers, new Map(topics.map((topic) => [topic, countOf(topic)])))
      return [...shares].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: roundRobin.version,
          assignment: Object.fromEntries(Object.entries(assignment).map(([topic, owned]) => [topic, [...owned]])),
          userData: Buffer.alloc(0)
        })
      }))
    }
  }
}
