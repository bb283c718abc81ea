import type * as KafkaJS from "kafkajs"
import type * as Lz4 from "lz4-napi"
import { createRequire } from "node:module"
import { promisify } from "node:util"
import { zstdCompress, zstdDecompress } from "node:zlib"
import { filterAborted } from "./AbortedTransactions.ts"
import { patchCluster } from "./ClusterPatch.ts"
import { patchConnection } from "./ConnectionPatch.ts"
import { patchConsumerGroup } from "./ConsumerGroupPatch.ts"
import { rememberCoordinators } from "./CoordinatorMemory.ts"
import { fetchRequest } from "./FetchRequest.ts"
import { addGroupFencing } from "./GroupFencing.ts"
import { inspectionRequests } from "./InspectionRequests.ts"
import { groupByPartition } from "./PartitionGroups.ts"
import { produceRequest, requestEncoder } from "./ProduceRequest.ts"
import { recordBatches } from "./RecordBatches.ts"
import { recordDecoder } from "./RecordDecoder.ts"
import { sendMessages } from "./SendMessages.ts"
import { transactionRequests } from "./TransactionRequests.ts"
import { hastenTransactions } from "./TransactionSteps.ts"

/**
 * The one place where kafkajs is loaded, with its known defects mended before any of its classes is used. What is mended reaches into its
 * source files, which no release will change any more: hence the check of its version.
 */
const require = createRequire(import.meta.url)

const SUPPORTED_VERSION = "2.2.4"
const { version } = require("kafkajs/package.json") as { readonly version: string }
if (version !== SUPPORTED_VERSION) {
  throw new Error(
    `packages/kafka mends kafkajs ${SUPPORTED_VERSION} from outside and does not know ${version}: install ${SUPPORTED_VERSION}`
  )
}

/** Replaces a module of kafkajs before anything has loaded it. */
const replaceModule = (path: string, exports: unknown): void => {
  const id = require.resolve(path)
  require.cache[id] = {
    id,
    filename: id,
    path: id,
    loaded: true,
    exports,
    children: [],
    paths: [],
    parent: null,
    isPreloading: false,
    require
  }
}

// It lets the first record of every second aborted transaction through.
replaceModule("kafkajs/src/consumer/filterAbortedMessages", filterAborted)

// They keep headers by name, which loses their order, and throw at one without a value.
replaceModule("kafkajs/src/protocol/recordBatch/record/v0/decoder", recordDecoder(require))
replaceModule("kafkajs/src/protocol/requests/produce/v3/request", produceRequest(require))

// They copy what is sent again and again.
replaceModule("kafkajs/src/protocol/request", requestEncoder(require))
replaceModule("kafkajs/src/producer/groupMessagesPerPartition", groupByPartition)

// It can succeed without having sent everything, or having sent it twice.
replaceModule("kafkajs/src/producer/sendMessages", sendMessages(require))

// It looks its coordinators up for every request to them.
replaceModule("kafkajs/src/producer/eosManager", rememberCoordinators(require))

hastenTransactions(require)

/** Transactions are tried again soon: what they wait for is mostly the end of the one before, a few milliseconds away. */
export const TRANSACTION_RETRY = { initialRetryTime: 2, maxRetryTime: 1_000, factor: 0.2, multiplier: 1.6, retries: 18 }

// It forgets the setting that its transactions ask it for, and waits 300 ms where a few would do.
const { prototype: cluster } = require("kafkajs/src/cluster") as {
  readonly prototype: { retry?: KafkaJS.RetryOptions }
}
cluster.retry = TRANSACTION_RETRY

patchCluster(require)
patchConnection(require)
patchConsumerGroup(require)
addGroupFencing(require)
export const transactions = transactionRequests(require)
export const inspection = inspectionRequests(require)
export const requestFetch = fetchRequest(require)
export const readBatches = recordBatches(require)
export const { KafkaJSSASLAuthenticationError } = require("kafkajs/src/errors") as {
  readonly KafkaJSSASLAuthenticationError: new(message: string) => Error
}
export const { createErrorFromCode } = require("kafkajs/src/protocol/error") as {
  createErrorFromCode(code: number): Error
}

const kafkajs = require("kafkajs") as typeof KafkaJS
const { CompressionCodecs, CompressionTypes } = kafkajs

interface Encoded {
  readonly buffer: Buffer
}

const compressZstd = promisify(zstdCompress)
const decompressZstd = promisify(zstdDecompress)
const lz4 = require("lz4-napi") as typeof Lz4

// The emitter chooses the codec, and one that is not registered stops the consumer for good.
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy") as () => unknown
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder: Encoded) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer: Buffer) => lz4.decompressFrame(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: (encoder: Encoded) => compressZstd(encoder.buffer),
  decompress: (buffer: Buffer) => decompressZstd(buffer)
})

export const { Kafka, PartitionAssigners, Partitioners, logLevel } = kafkajs
export const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol
export const CONFIG_RESOURCE_TOPIC = kafkajs.ConfigResourceTypes.TOPIC
export { CompressionTypes }
