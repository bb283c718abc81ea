/** So many tasks that don't fit are passed over in search of one that does: the search is made for every call. */
const MAX_PASSED = 200

/**
 * One lane for each key that has work: its tasks in order, at most one of them taken at a time. Lanes with a task to take are served in turns,
 * first among the groups that they belong to, then within the group, so that one zone with a long queue does not hold up the others.
 *
 * A group can be held as a whole (`holdGroup`): it has no turns then, and only `takeFrom` takes from it.
 *
 * Plain and synchronous. A task is `take`n, and then either given back to the front of its lane to wait (`putBack`) or finished (`release`), which
 * lets the lane's next one go.
 */
export class Lanes<Task> {
  readonly #lanes = new Map<string, Lane<Task>>()
  readonly #readyByGroup = new Map<string, Array<Lane<Task>>>()
  /** The same of groups that are held. */
  readonly #heldByGroup = new Map<string, Array<Lane<Task>>>()
  readonly #lanesOfGroup = new Map<string, number>()
  readonly #takenOfGroup = new Map<string, number>()
  #size = 0
  #waiting = 0
  #ready = 0

  /** Tasks that are queued, those given back included, those taken not. */
  get size(): number {
    return this.#size
  }

  /** Tasks that were given back and wait for `resume`. */
  get waiting(): number {
    return this.#waiting
  }

  /** Tasks that `take` could give now. */
  get ready(): number {
    return this.#ready
  }

  /** Whether anything of the group is here, or taken. */
  has(group: string): boolean {
    return this.#lanesOfGroup.has(group)
  }

  /** How many tasks of the group are taken. */
  takenOf(group: string): number {
    return this.#takenOfGroup.get(group) ?? 0
  }

  /** How many tasks are queued in a lane. */
  queuedIn(key: string): number {
    return this.#lanes.get(key)?.tasks.length ?? 0
  }

  /** Every queued task, with the first of its lane, and whether that one holds it. */
  *queued(): Generator<{ readonly task: Task; readonly head: Task; readonly held: boolean }> {
    for (const { held, tasks } of this.#lanes.values()) {
      const [head] = tasks
      if (head !== undefined) { for (const task of tasks) yield { task, head, held } }
    }
  }

  /** Every task that is here, with how many are ahead of it in its lane, and the first of that, which may be taken. */
  *all(): Generator<
    { readonly task: Task; readonly ahead: number; readonly head: Task; readonly isHeadTaken: boolean }
  > {
    for (const { taken, tasks } of this.#lanes.values()) {
      const all = taken === undefined ? tasks : [taken, ...tasks]
      const [head] = all
      if (head === undefined) continue
      for (const [ahead, task] of all.entries()) yield { task, ahead, head, isHeadTaken: taken !== undefined }
    }
  }

  add(group: string, key: string, task: Task): void {
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { key, group, tasks: [], taken: undefined, held: false }
      this.#lanes.set(key, lane)
      this.#lanesOfGroup.set(group, (this.#lanesOfGroup.get(group) ?? 0) + 1)
    }
    lane.tasks.push(task)
    this.#size += 1
    if (lane.tasks.length === 1) this.#makeReady(lane)
  }

  /** The next task to work on, or `undefined` where every lane is empty, taken or held. Groups that must wait, by what is ready of them, keep their turn. */
  take(mustWait: (group: string, next: Task, ready: number) => boolean = never): Task | undefined {
    for (const [group, ready] of this.#readyByGroup) {
      const next = ready[0]?.tasks[0]
      if (next !== undefined && mustWait(group, next, ready.length)) continue
      // To the end of the turns, or out of them.
      this.#readyByGroup.delete(group)
      const task = this.#takeFirst(ready)
      if (ready.length > 0) this.#readyByGroup.set(group, ready)
      if (task === undefined) continue
      this.#ready -= 1
      return task
    }
    return undefined
  }

  /** The next task of a group, whether that is held or not. */
  takeFrom(group: string): Task | undefined {
    const held = this.#heldByGroup.get(group)
    if (held !== undefined) return this.#takeFirst(held)
    const ready = this.#readyByGroup.get(group)
    if (ready === undefined) return undefined
    const task = this.#takeFirst(ready)
    if (ready.length === 0) this.#readyByGroup.delete(group)
    if (task !== undefined) this.#ready -= 1
    return task
  }

  /** More tasks of a group that is not held: those that fit, up to so many. */
  takeMoreFrom(group: string, fits: (task: Task) => boolean, limit: number): ReadonlyArray<Task> {
    const ready = this.#readyByGroup.get(group)
    if (ready === undefined) return []
    const tasks: Array<Task> = []
    const left: Array<Lane<Task>> = []
    let seen = 0
    while (tasks.length < limit && left.length < MAX_PASSED) {
      const lane = ready[seen]
      const task = lane?.tasks[0]
      if (lane === undefined || task === undefined) break
      seen += 1
      if (fits(task)) {
        this.#takeOf(lane)
        tasks.push(task)
      } else left.push(lane)
    }
    ready.splice(0, seen, ...left)
    this.#ready -= tasks.length
    if (ready.length === 0) this.#readyByGroup.delete(group)
    return tasks
  }

  holdGroup(group: string): void {
    if (this.#heldByGroup.has(group)) return
    const ready = this.#readyByGroup.get(group) ?? []
    this.#heldByGroup.set(group, ready)
    this.#readyByGroup.delete(group)
    this.#ready -= ready.length
  }

  letGoGroup(group: string): void {
    const ready = this.#heldByGroup.get(group)
    this.#heldByGroup.delete(group)
    if (ready === undefined || ready.length === 0) return
    this.#readyByGroup.set(group, ready)
    this.#ready += ready.length
  }

  /** Gives a taken task back to the front of its lane, which is then held until `resume`. */
  putBack(key: string, task: Task): void {
    const lane = this.#lanes.get(key)
    if (lane === undefined) return
    lane.tasks.unshift(task)
    this.#giveBack(lane)
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
    this.#giveBack(lane)
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
      const left = ready.filter(hasTasks)
      this.#ready -= ready.length - left.length
      if (left.length === 0) this.#readyByGroup.delete(group)
      else this.#readyByGroup.set(group, left)
    }
    for (const [group, ready] of this.#heldByGroup) this.#heldByGroup.set(group, ready.filter(hasTasks))
    return dropped
  }

  #takeFirst(ready: Array<Lane<Task>>): Task | undefined {
    const lane = ready.shift()
    return lane === undefined ? undefined : this.#takeOf(lane)
  }

  #takeOf(lane: Lane<Task>): Task | undefined {
    const task = lane.tasks.shift()
    lane.taken = task
    this.#takenOfGroup.set(lane.group, this.takenOf(lane.group) + 1)
    this.#size -= 1
    return task
  }

  #giveBack(lane: Lane<Task>): void {
    if (lane.taken === undefined) return
    lane.taken = undefined
    const left = this.takenOf(lane.group) - 1
    if (left === 0) this.#takenOfGroup.delete(lane.group)
    else this.#takenOfGroup.set(lane.group, left)
  }

  #letGo(lane: Lane<Task>): void {
    lane.held = false
    this.#waiting -= 1
    this.#makeReady(lane)
  }

  #makeReady(lane: Lane<Task>): void {
    if (lane.taken !== undefined) return
    if (lane.tasks.length === 0) {
      this.#forgetIfIdle(lane)
      return
    }
    const held = this.#heldByGroup.get(lane.group)
    if (held !== undefined) {
      held.push(lane)
      return
    }
    this.#ready += 1
    const ready = this.#readyByGroup.get(lane.group)
    if (ready === undefined) this.#readyByGroup.set(lane.group, [lane])
    else ready.push(lane)
  }

  #forgetIfIdle(lane: Lane<Task>): void {
    if (lane.taken !== undefined || lane.tasks.length > 0 || !this.#lanes.delete(lane.key)) return
    const left = (this.#lanesOfGroup.get(lane.group) ?? 1) - 1
    if (left === 0) this.#lanesOfGroup.delete(lane.group)
    else this.#lanesOfGroup.set(lane.group, left)
  }
}

const never = () => false

const hasTasks = <Task>({ tasks }: Lane<Task>): boolean => tasks.length > 0

interface Lane<Task> {
  readonly key: string
  readonly group: string
  tasks: Array<Task>
  taken: Task | undefined
  held: boolean
}
