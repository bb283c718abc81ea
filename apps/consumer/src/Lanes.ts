/**
 * One lane for each key that has work: its tasks in order, at most one of them taken at a time. Lanes with a task to take are served in turns,
 * first among the groups that they belong to, then within the group, so that one zone with a long queue does not hold up the others.
 *
 * Plain and synchronous. A task is `take`n, and then either given back to the front of its lane to wait (`putBack`) or finished (`release`), which
 * lets the lane's next one go.
 */
export class Lanes<Task> {
  readonly #lanes = new Map<string, Lane<Task>>()
  readonly #readyByGroup = new Map<string, Array<Lane<Task>>>()
  #size = 0
  #waiting = 0

  /** Tasks that are queued, those given back included, those taken not. */
  get size(): number {
    return this.#size
  }

  /** Tasks that were given back and wait for `resume`. */
  get waiting(): number {
    return this.#waiting
  }

  add(group: string, key: string, task: Task): void {
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { key, group, tasks: [], taken: false, held: false }
      this.#lanes.set(key, lane)
    }
    lane.tasks.push(task)
    this.#size += 1
    if (lane.tasks.length === 1) this.#makeReady(lane)
  }

  /** The next task to work on, or `undefined` where every lane is empty, taken or held. */
  take(): Task | undefined {
    for (const [group, ready] of this.#readyByGroup) {
      const lane = ready.shift()
      // To the end of the turns, or out of them.
      this.#readyByGroup.delete(group)
      if (ready.length > 0) this.#readyByGroup.set(group, ready)
      if (lane === undefined) continue
      const task = lane.tasks.shift()
      if (task === undefined) continue
      lane.taken = true
      this.#size -= 1
      return task
    }
    return undefined
  }

  /** Gives a taken task back to the front of its lane, which is then held until `resume`. */
  putBack(key: string, task: Task): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) return
    lane.tasks.unshift(task)
    lane.taken = false
    lane.held = true
    this.#size += 1
    this.#waiting += 1
  }

  /** Lets the lane go on that is held by this task; nothing where it is not, because the task was dropped. */
  resume(key: string, task: Task): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined || !lane.held || lane.tasks[0] !== task) return
    this.#letGo(lane)
  }

  /** The taken task is finished: the lane's next one may be taken. */
  release(key: string): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) return
    lane.taken = false
    this.#makeReady(lane)
  }

  /** Drops and answers every queued task that fits, each lane's in their order. Taken ones are their takers' business. */
  drop(fits: (task: Task) => boolean): ReadonlyArray<Task> {
    const dropped: Array<Task> = []
    for (const lane of this.#lanes.values()) {
      const [first] = lane.tasks
      const kept = lane.tasks.filter((task) => !fits(task))
      if (kept.length === lane.tasks.length) continue
      dropped.push(...lane.tasks.filter(fits))
      this.#size -= lane.tasks.length - kept.length
      lane.tasks = kept
      if (lane.held && kept[0] !== first) this.#letGo(lane)
      this.#forgetIfIdle(lane)
    }
    for (const [group, ready] of this.#readyByGroup) {
      const left = ready.filter((lane) => lane.tasks.length > 0)
      if (left.length === 0) this.#readyByGroup.delete(group)
      else this.#readyByGroup.set(group, left)
    }
    return dropped
  }

  #letGo(lane: Lane<Task>): void {
    lane.held = false
    this.#waiting -= 1
    this.#makeReady(lane)
  }

  #makeReady(lane: Lane<Task>): void {
    if (lane.taken) return
    if (lane.tasks.length === 0) {
      this.#forgetIfIdle(lane)
      return
    }
    const ready = this.#readyByGroup.get(lane.group)
    if (ready === undefined) this.#readyByGroup.set(lane.group, [lane])
    else ready.push(lane)
  }

  #forgetIfIdle(lane: Lane<Task>): void {
    if (!lane.taken && lane.tasks.length === 0) this.#lanes.delete(lane.key)
  }
}

interface Lane<Task> {
  readonly key: string
  readonly group: string
  tasks: Array<Task>
  taken: boolean
  held: boolean
}
