/** What every contender is told by its environment, by the names that the consumer has for it. */
const setting = (name: string): string => {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set: npm run bench starts this program.`)
  return value
}

export const brokers = () => setting("KAFKA_BROKERS").split(",")
export const groupId = () => setting("KAFKA_GROUP_ID")
export const requestsTopic = () => setting("REQUESTS_TOPIC")
export const outcomesTopic = () => setting("OUTCOMES_TOPIC")
export const apiBase = () => setting("CLOUDFLARE_BASE_URL")
export const concurrency = () => Number(setting("CONCURRENCY"))
export const partitions = () => Number(setting("PARTITIONS"))
/** How many requests there are, and for how many addresses: for who reads them from no topic. */
export const requests = () => Number(setting("REQUESTS"))
export const addresses = () => Number(setting("ADDRESSES"))
