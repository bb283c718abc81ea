/** Puts a stream of Kafka's messages together again: each begins with its length. */
export const wholeMessages = (take: (message: Buffer) => void) => {
  let chunks: Array<Buffer> = []
  let size = 0
  return (chunk: Buffer): void => {
    chunks.push(chunk)
    size += chunk.length
    while (size >= 4) {
      const [first] = chunks
      if (first === undefined || first.length < 4) chunks = [Buffer.concat(chunks)]
      const end = 4 + (chunks[0]?.readInt32BE(0) ?? 0)
      if (size < end) return
      const received = Buffer.concat(chunks)
      take(received.subarray(0, end))
      chunks = [received.subarray(end)]
      size -= end
    }
  }
}

/** A broker's `host:port` as the answers to Metadata and FindCoordinator have it in their versions without tagged fields. */
export const addressBytes = (address: string): Buffer => {
  const colon = address.lastIndexOf(":")
  const host = address.slice(0, colon)
  const bytes = Buffer.alloc(2 + host.length + 4)
  bytes.writeInt16BE(host.length)
  bytes.write(host, 2)
  bytes.writeInt32BE(Number(address.slice(colon + 1)), 2 + host.length)
  return bytes
}
