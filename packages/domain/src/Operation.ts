import { Schema } from "effect"

/** What a request asks of the API. */
export const Operation = Schema.Literals(["create", "upsert", "delete"])

export type Operation = typeof Operation.Type

/** The CloudEvents `type` of each operation's request. */
export const requestTypes = {
  create: "dev.origin-regions.mapping.create.v1",
  upsert: "dev.origin-regions.mapping.upsert.v1",
  delete: "dev.origin-regions.mapping.delete.v1"
} as const satisfies Record<Operation, string>

const operationOfType: ReadonlyMap<string, Operation> = new Map(
  Operation.literals.map((operation) => [requestTypes[operation], operation])
)

/** The operation that a request's `type` asks for, or `undefined` for a type that is not ours. */
export const operationOf = (type: string): Operation | undefined => operationOfType.get(type)
