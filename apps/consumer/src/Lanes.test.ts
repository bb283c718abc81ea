import { assert, describe, it } from "@effect/vitest"
import { type Choices, forSeeds } from "@origin-regions/testkit/SeededChoices"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Lanes } from "./Lanes.ts"

interface Task {
  readonly group: string
  readonly key: string
  readonly number: number
  readonly owner: number
}

const add = (lanes: Lanes<Task>, task: Task) => lanes.add(task.group, task.key, task)

const taskOf = (group: string, key: string, number = 0): Task => ({ group, key, number, owner: 0 })

/** Takes and finishes everything there is to take, in its order. */
const takeAll = (lanes: Lanes<Task>): ReadonlyArray<Task> => {
  const taken: Array<Task> = []
  for (let task = lanes.take(); task !== undefined; task = lanes.take()) {
    taken.push(task)
    lanes.release(task.key)
  }
  return taken
}

describe("Lanes", () => {
  it("takes one task of a lane at a time, in the order in which they came", () => {
    const lanes = new Lanes<Task>()
    for (const number of [1, 2, 3]) add(lanes, taskOf("zone", "a", number))
    assert.strictEqual(lanes.take()?.number, 1)
    assert.isUndefined(lanes.take())
    assert.strictEqual(lanes.size, 2)
    lanes.release("a")
    assert.strictEqual(lanes.take()?.number, 2)
    assert.isUndefined(lanes.take())
  })

  it("takes more of a group that fit, and leaves the others in their turn", () => {
    const lanes = new Lanes<Task>()
    for (const key of ["a", "b", "c", "d", "e"]) add(lanes, taskOf("zone", key, key === "c" ? 1 : 0))
    add(lanes, taskOf("zone", "b", 0))
    add(lanes, taskOf("other", "f", 0))
    const more = lanes.takeMoreFrom("zone", ({ number }) => number === 0, 3)
    assert.deepStrictEqual(more.map(({ key }) => key), ["a", "b", "d"])
    assert.deepStrictEqual([lanes.take()?.key, lanes.take()?.key, lanes.take()?.key], ["c", "f", "e"])
    assert.isUndefined(lanes.take())
  })

  it("gives up looking for one that fits, where too many don't", () => {
    const lanes = new Lanes<Task>()
    for (let number = 0; number < 1_000; number++) add(lanes, taskOf("zone", `${number}`, number))
    assert.isEmpty(lanes.takeMoreFrom("zone", ({ number }) => number === 500, 1))
    assert.lengthOf(lanes.takeMoreFrom("zone", ({ number }) => number === 100, 1), 1)
    assert.strictEqual(lanes.ready, 999)
  })

  it("takes tasks of different lanes side by side", () => {
    const lanes = new Lanes<Task>()
    for (const key of ["a", "b", "c"]) add(lanes, taskOf("zone", key))
    assert.deepStrictEqual([lanes.take()?.key, lanes.take()?.key, lanes.take()?.key], ["a", "b", "c"])
  })

  it("gives a task back to the front of its lane, and holds the lane until it may go on", () => {
    const lanes = new Lanes<Task>()
    const [first, second] = [taskOf("zone", "a", 1), taskOf("zone", "a", 2)]
    add(lanes, first)
    add(lanes, second)
    assert.strictEqual(lanes.take(), first)
    lanes.putBack("a", first)
    assert.deepStrictEqual([lanes.size, lanes.waiting], [2, 1])
    assert.isUndefined(lanes.take())
    lanes.resume("a", second)
    assert.isUndefined(lanes.take())
    lanes.resume("a", first)
    assert.strictEqual(lanes.waiting, 0)
    assert.deepStrictEqual(takeAll(lanes), [first, second])
  })

  it("does not let a task that was dropped resume the lane of another that waits", () => {
    const lanes = new Lanes<Task>()
    const [old, next] = [taskOf("zone", "a", 1), taskOf("zone", "a", 2)]
    for (const task of [old, next]) {
      add(lanes, task)
      assert.strictEqual(lanes.take(), task)
      lanes.putBack("a", task)
      if (task === old) lanes.drop((each) => each === old)
    }
    lanes.resume("a", old)
    assert.isUndefined(lanes.take())
    lanes.resume("a", next)
    assert.strictEqual(lanes.take(), next)
  })

  it("lets a lane go on whose waiting task was dropped", () => {
    const lanes = new Lanes<Task>()
    const [lost, kept] = [taskOf("zone", "a", 1), taskOf("zone", "a", 2)]
    add(lanes, lost)
    add(lanes, kept)
    lanes.take()
    lanes.putBack("a", lost)
    assert.deepStrictEqual(lanes.drop((each) => each === lost), [lost])
    assert.deepStrictEqual([lanes.size, lanes.waiting], [1, 0])
    assert.strictEqual(lanes.take(), kept)
  })

  it("keeps a taken task's lane taken when everything queued is dropped", () => {
    const lanes = new Lanes<Task>()
    add(lanes, taskOf("zone", "a", 1))
    lanes.take()
    add(lanes, taskOf("zone", "a", 2))
    lanes.drop(() => true)
    add(lanes, taskOf("zone", "a", 3))
    assert.isUndefined(lanes.take())
    lanes.release("a")
    assert.strictEqual(lanes.take()?.number, 3)
  })

  it("serves groups in turns, however long the queue of one is", () => {
    const lanes = new Lanes<Task>()
    for (let number = 0; number < 10_000; number++) add(lanes, taskOf("crowded", `crowded/${number}`, number))
    assert.strictEqual(lanes.take()?.group, "crowded")
    for (const group of ["x", "y", "z"]) add(lanes, taskOf(group, `${group}/1`))
    // Each of them waits for no more than one turn of every group before it.
    const groups = Array.from({ length: 8 }, () => lanes.take()?.group)
    assert.deepStrictEqual(groups, ["crowded", "x", "y", "z", "crowded", "crowded", "crowded", "crowded"])
  })

  it("serves the lanes of a group in turns, however long the queue of one is", () => {
    const lanes = new Lanes<Task>()
    for (let number = 0; number < 10_000; number++) add(lanes, taskOf("zone", "long", number))
    add(lanes, taskOf("zone", "short", 1))
    add(lanes, taskOf("zone", "short", 2))
    assert.deepStrictEqual(takeAll(lanes).slice(0, 5).map(({ key }) => key), ["long", "short", "long", "short", "long"])
  })

  it("agrees with a naive model, whatever the sequence of calls", () => {
    let taken = 0
    forSeeds(400, (choices) => {
      taken += agree(choices)
    })
    assert.isAbove(taken, 10_000)
  })

  it("keeps nothing of lanes that are done with", () => {
    const lanes = new Lanes<Task>()
    const heldBefore = heapUsed()
    for (let round = 0; round < 20; round++) {
      for (let number = 0; number < 10_000; number++) {
        add(lanes, taskOf(`zone-${round}-${number % 100}`, `${round}/${number}`, number))
      }
      lanes.drop(({ number }) => number % 5 === 0)
      const waiting: Array<Task> = []
      for (let task = lanes.take(); task !== undefined; task = lanes.take()) {
        if (task.number % 3 === 0) {
          lanes.putBack(task.key, task)
          waiting.push(task)
        } else lanes.release(task.key)
      }
      lanes.drop(({ number }) => number % 2 === 0)
      for (const task of waiting) lanes.resume(task.key, task)
      takeAll(lanes)
      assert.deepStrictEqual([lanes.size, lanes.waiting], [0, 0])
    }
    // Of the 200,000 lanes that went through, each took some 100 bytes.
    assert.isBelow(heapUsed() - heldBefore, 2_000_000)
    assert.isUndefined(lanes.take())
  })
})

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const heapUsed = () => {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** One random sequence of calls, each checked against lists that say the same in the simplest way; answers how many tasks were taken. */
const agree = (choices: Choices): number => {
  const lanes = new Lanes<Task>()
  const groups = choices.below(4) + 1
  const keysPerGroup = choices.below(6) + 1
  /** In each lane's order. `waiting` holds its lane, `taken` is with whoever took it. */
  const queued: Array<Task> = []
  const waiting = new Set<Task>()
  const taken: Array<Task> = []
  let takes = 0
  const heldGroups = new Set<string>()
  /** Turns that each group which has something to take has been passed over. */
  const passedOver = new Map<string, number>()

  const isBusy = (key: string) => taken.some((task) => task.key === key)
  const heads = () =>
    queued.filter((task, at) =>
      !isBusy(task.key) && !waiting.has(task) && queued.findIndex(({ key }) => key === task.key) === at
    )

  for (let step = 0; step < 120; step++) {
    const call = choices.below(13)
    if (call === 12) {
      const group = `group-${choices.below(groups)}`
      const limit = choices.below(4)
      const isEven = ({ number }: Task) => number % 2 === 0
      const possible = heldGroups.has(group) ? [] : heads().filter((task) => task.group === group && isEven(task))
      const more = lanes.takeMoreFrom(group, isEven, limit)
      assert.includeMembers(possible, [...more])
      assert.strictEqual(more.length, Math.min(limit, possible.length))
      takes += more.length
      for (const task of more) queued.splice(queued.indexOf(task), 1)
      taken.push(...more)
    } else if (call === 10) {
      const group = `group-${choices.below(groups)}`
      if (heldGroups.delete(group)) lanes.letGoGroup(group)
      else {
        heldGroups.add(group)
        lanes.holdGroup(group)
      }
    } else if (call === 11) {
      const group = `group-${choices.below(groups)}`
      const possible = heads().filter((task) => task.group === group)
      const task = lanes.takeFrom(group)
      if (task === undefined) assert.isEmpty(possible)
      else {
        assert.include(possible, task)
        takes += 1
        queued.splice(queued.indexOf(task), 1)
        taken.push(task)
      }
    } else if (call < 4) {
      const group = `group-${choices.below(groups)}`
      const task: Task = {
        group,
        key: `${group}/${choices.below(keysPerGroup)}`,
        number: step,
        owner: choices.below(3)
      }
      add(lanes, task)
      queued.push(task)
    } else if (call < 7) {
      const possible = heads().filter(({ group }) => !heldGroups.has(group))
      const task = lanes.take()
      if (task === undefined) assert.isEmpty(possible)
      else {
        takes += 1
        assert.include(possible, task)
        for (const group of new Set(possible.map(({ group }) => group))) {
          passedOver.set(group, group === task.group ? 0 : (passedOver.get(group) ?? 0) + 1)
          assert.isBelow(passedOver.get(group) ?? 0, groups)
        }
        queued.splice(queued.indexOf(task), 1)
        taken.push(task)
      }
    } else if (call === 7) {
      const task = choices.pick(taken)
      if (task !== undefined) {
        taken.splice(taken.indexOf(task), 1)
        lanes.putBack(task.key, task)
        queued.unshift(task)
        waiting.add(task)
      }
    } else if (call === 8) {
      const task = choices.pick(taken)
      if (task !== undefined) {
        taken.splice(taken.indexOf(task), 1)
        lanes.release(task.key)
      }
      const resumed = choices.pick([...waiting])
      if (resumed !== undefined) {
        waiting.delete(resumed)
        lanes.resume(resumed.key, resumed)
      }
    } else if (choices.chance(0.3)) {
      const owner = choices.below(3)
      lanes.drop((task) => task.owner === owner)
      for (const task of queued.filter((each) => each.owner === owner)) {
        queued.splice(queued.indexOf(task), 1)
        waiting.delete(task)
      }
    }
    // A group with nothing to take is not being passed over.
    const ready = new Set(heads().map(({ group }) => group).filter((group) => !heldGroups.has(group)))
    for (const group of passedOver.keys()) if (!ready.has(group)) passedOver.delete(group)
    assert.deepStrictEqual([lanes.size, lanes.waiting], [queued.length, waiting.size])
    assert.strictEqual(lanes.ready, heads().filter(({ group }) => !heldGroups.has(group)).length)
    for (let group = 0; group < groups; group++) {
      assert.strictEqual(
        lanes.takenOf(`group-${group}`),
        taken.filter((task) => task.group === `group-${group}`).length
      )
      const isThere = [...queued, ...taken].some((task) => task.group === `group-${group}`)
      assert.strictEqual(lanes.has(`group-${group}`), isThere)
    }
    const seen = [...lanes.queued()]
    assert.sameMembers(seen.map(({ task }) => task), queued)
    const keysWaiting = new Set([...waiting].map(({ key }) => key))
    for (const { held, task } of seen) assert.strictEqual(held, keysWaiting.has(task.key))
  }
  for (const group of heldGroups) lanes.letGoGroup(group)

  for (const task of waiting) lanes.resume(task.key, task)
  for (const task of taken) lanes.release(task.key)
  const rest = takeAll(lanes)
  for (const key of new Set(rest.map((task) => task.key))) {
    const numbers = rest.filter((task) => task.key === key).map(({ number }) => number)
    assert.deepStrictEqual(numbers, queued.filter((task) => task.key === key).map(({ number }) => number))
  }
  assert.strictEqual(rest.length, queued.length)
  return takes + rest.length
}
