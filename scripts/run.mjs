/**
 * Runs one of the repository's tasks with what it needs: the pinned Node and pnpm, as npm packages under `.toolchain/` where the machine's own
 * don't fit, and the workspace's packages as the lockfile has them. Plain JavaScript, because this is what runs before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { constants, tmpdir } from "node:os"
import { delimiter, dirname, join, relative, resolve } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const nodeVersion = "24.21.0"
/** The oldest release of the same line that runs TypeScript without a warning. */
const oldestMinor = 12

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const toolchain = join(root, ".toolchain")
const machine = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`

/**
 * `script` is run by Node, from the root; `callersDirectory`: from where the person is, so that files can be named from there. `watched` tasks
 * start things of their own, and are told by a closed channel if we are killed. `page`: the consumer's page is built before.
 */
const tasks = {
  start: {
    about: "start everything and send the examples through it (--help tells more)",
    script: ["scripts/start.ts"],
    watched: true,
    page: true
  },
  test: {
    about: "every test of every package; a folder limits it",
    script: ["scripts/test.ts"],
    watched: true,
    page: true
  },
  check: { about: "lint, format, types, diagnostics, unused code, documents", script: ["scripts/check.ts"] },
  advisories: {
    about: "what the package registry knows against the packages that we run with",
    script: ["scripts/advisories.ts"]
  },
  build: {
    about: "JavaScript and types of every package for others, as npm gets them",
    script: ["node_modules/typescript/bin/tsc", "--build", "tsconfig.build.json"],
    page: true
  },
  format: { about: "format every file", script: ["node_modules/dprint/bin.cjs", "fmt"] },
  documents: { about: "write the generated documents", script: ["scripts/documents.ts"] },
  "docs:build": { about: "the documents as a site", script: ["scripts/site.ts"] },
  "docs:serve": { about: "the same, to read it here", script: ["scripts/site.ts", "serve"] },
  bench: {
    about: "the consumer beside what people write today: speed, processor time, memory",
    script: ["scripts/bench.ts"],
    watched: true
  },
  crashlab: {
    about: "break a running system in every way, and audit it",
    script: ["scripts/crashlab.ts"],
    watched: true
  },
  alertlab: {
    about: "make the cause of each alert, and see in a real Prometheus that it fires and resolves",
    script: ["scripts/alertlab.ts"],
    watched: true
  },
  "bench:domain": {
    about: "reading an address, beside other ways to do it",
    script: ["node_modules/turbo/bin/turbo", "run", "bench"]
  },
  "bench:api": { about: "gets and creates in a second at the API", script: ["apps/api/src/ApiServer.bench.ts"] },
  "bench:scaling": {
    about: "what more members of the group come to",
    script: ["scripts/bench-scaling.ts"],
    watched: true
  },
  "bench:quota": {
    about: "upserts in a second through Cloudflare's quota",
    script: ["scripts/bench-quota.ts"],
    watched: true
  },
  "bench:delivery": {
    about: "what exactly-once costs, and how long a crash is felt",
    script: ["scripts/bench-delivery.ts"],
    watched: true
  },
  "flame-graph": {
    about: "draw a profile of node --cpu-prof",
    script: ["scripts/flame-graph.ts"],
    callersDirectory: true
  },
  kafka: { about: "a Kafka broker alone, in the foreground", script: ["scripts/kafka.ts"], watched: true },
  api: { about: "the API alone, in the foreground", script: ["apps/api/src/main.ts"] },
  consumer: { about: "the consumer alone, in the foreground", script: ["apps/consumer/src/main.ts"], page: true },
  "origin-regions": {
    about: "the command line tool: emit requests, watch outcomes, check settings",
    script: ["apps/cli/src/main.ts"],
    callersDirectory: true
  }
}

const usage = () =>
  [
    "Usage: npm run <task> [-- <arguments>]",
    "",
    ...Object.entries(tasks).map(([name, { about }]) => `  ${name.padEnd(16)}${about}`)
  ].join("\n")

/** Something that a person can put right: one sentence, and what a failed command said. */
class Fault extends Error {
  constructor(sentence, output = "") {
    super([output.trimEnd(), sentence].filter((part) => part !== "").join("\n"))
  }
}

const say = (sentence) => process.stderr.write(`${sentence}\n`)

const fits = (version) => {
  const [major, minor] = version.split(".").map(Number)
  return major === Number(nodeVersion.split(".")[0]) && minor >= oldestMinor
}

/** Runs to the end; what it says is kept for the case that it fails. */
const run = (command, args, options, sentence) =>
  new Promise((done, failed) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
    child.on("error", (error) => failed(new Fault(sentence, error.message)))
    child.on("close", (code) => code === 0 ? done() : failed(new Fault(sentence, output)))
  })

/** npm as it runs us, or else the one of the PATH. */
const npmCommand = () => {
  const script = process.env.npm_execpath
  if (script !== undefined && script.endsWith("npm-cli.js") && existsSync(script)) {
    return [process.execPath, [script], {}]
  }
  const shell = process.platform === "win32"
  if (spawnSync("npm", ["--version"], { shell, stdio: "ignore" }).status !== 0) {
    throw new Fault(`npm was not found: install Node ${nodeVersion.split(".")[0]}, which brings npm, and try again.`)
  }
  return ["npm", [], { shell }]
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === "EPERM"
  }
}

/** Installs one at a time: the lock holds the process id of who does, and is taken over where that process is gone. */
const holdingTheLock = async (work) => {
  const lock = join(toolchain, "installing.lock")
  mkdirSync(toolchain, { recursive: true })
  for (let told = false;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" })
      break
    } catch (error) {
      if (error.code !== "EEXIST") {
        throw new Fault(`${toolchain} can't be written to (${error.code}): make the repository's folder writable.`)
      }
    }
    const holder = readLock(lock)
    if (holder !== undefined && !isAlive(holder)) takeAway(lock, holder)
    else {
      if (!told && holder !== undefined) say(`Waiting for process ${holder}, which is installing (see ${lock})…`)
      told = true
      await pause(200)
    }
  }
  try {
    for (const name of readdirSync(toolchain)) if (name.startsWith("unfinished-")) removeLeftover(join(toolchain, name))
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** Left by a run that was killed. Its npm may still be writing there: then it is for the next run. */
const removeLeftover = (folder) => {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch {
    // As said above.
  }
}

const readLock = (lock) => {
  try {
    return Number(readFileSync(lock, "utf8"))
  } catch {
    return undefined
  }
}

/** Renaming decides between two that find the same dead holder; who got a living one's lock puts it back. */
const takeAway = (lock, holder) => {
  const taken = `${lock}.${process.pid}`
  try {
    renameSync(lock, taken)
    if (readLock(taken) !== holder) linkSync(taken, lock)
    rmSync(taken, { force: true })
  } catch {
    // Another one was quicker.
  }
}

const executable = process.platform === "win32" ? "node.exe" : "node"

/** What npm can bring, each into a folder of its own; `command` is how it is run from there. */
const nodeTool = {
  title: `Node ${nodeVersion}`,
  npmPackage: `node-${machine}@${nodeVersion}`,
  folder: join(toolchain, `node-${nodeVersion}-${machine}`),
  command: (folder) => join(folder, "node_modules", `node-${machine}`, "bin", executable),
  fix: `install Node ${nodeVersion.split(".")[0]} on this machine, or go online, and try again.`
}

/** Where the executable is: turbo needs one on the PATH, and the package's own would be made by the install script that we don't run. */
const pnpmFolder = (folder) => {
  const scope = join(folder, "node_modules", "@pnpm")
  const name = existsSync(scope) ? readdirSync(scope).find((entry) => entry.startsWith("exe.")) : undefined
  return join(scope, name ?? "exe")
}

const pnpmTool = (version) => ({
  title: `pnpm ${version}`,
  npmPackage: `pnpm@${version}`,
  folder: join(toolchain, `pnpm-${version}-${machine}`),
  command: (folder) => join(pnpmFolder(folder), process.platform === "win32" ? "pnpm.exe" : "pnpm"),
  fix: "go online, and try again."
})

/** Installs a tool under another name first, so that it is there whole or not at all. */
const installTool = async ({ command, fix, folder, npmPackage, title }) => {
  const [npm, first, options] = npmCommand()
  say(`Installing ${title} (once)…`)
  const unfinished = mkdtempSync(join(toolchain, "unfinished-"))
  writeFileSync(join(unfinished, "package.json"), "{ \"private\": true }\n")
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
  const sentence = `${title} could not be installed by npm: ${fix}`
  const install = [...first, "install", "--prefix", unfinished, ...flags, npmPackage]
  try {
    await run(npm, install, { ...options, cwd: unfinished }, sentence)
    await run(command(unfinished), ["--version"], { cwd: unfinished }, `${title} from npm does not run here: ${fix}`)
    renameSync(unfinished, folder)
  } finally {
    removeLeftover(unfinished)
  }
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const pnpmVersion = manifest.packageManager.split("@")[1]
const pnpm = pnpmTool(pnpmVersion)

/** Whether the PATH has a pnpm of exactly our version. Asked outside the repository, where it has no reason to become another one. */
const ownPnpmFits = () => {
  const environment = { ...process.env, COREPACK_ENABLE_NETWORK: "0" }
  const options = { cwd: tmpdir(), encoding: "utf8", env: environment, shell: process.platform === "win32" }
  return spawnSync("pnpm", ["--version"], options).stdout?.trim() === pnpmVersion
}

/** Changes whenever the workspace's packages have to be installed again. */
const fingerprint = () => {
  const hash = createHash("sha256").update(`${pnpmVersion} ${machine}`)
  const folders = ["apps", "packages"].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => join(parent, name))
  )
  const manifests = [".", "scripts", ...folders.sort()].map((folder) => join(folder, "package.json"))
  for (const name of [...manifests, "pnpm-lock.yaml", "pnpm-workspace.yaml"]) {
    const path = join(root, name)
    if (existsSync(path)) hash.update(name).update(readFileSync(path))
  }
  return hash.digest("hex")
}

const stampPath = join(root, "node_modules", ".installed")

const stampAt = (path) => existsSync(path) ? readFileSync(path, "utf8") : undefined

const stamp = () => stampAt(stampPath)

const pageFolder = join(root, "apps", "consumer", "console")
const pageStampPath = join(pageFolder, "dist", ".built")

/** Changes whenever the page has to be built again. */
const pageFingerprint = (packages) => {
  const hash = createHash("sha256").update(packages)
  const files = readdirSync(pageFolder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  for (const path of files.map(({ name, parentPath }) => relative(pageFolder, join(parentPath, name))).sort()) {
    if (!path.startsWith("dist")) hash.update(path).update(readFileSync(join(pageFolder, path)))
  }
  return hash.digest("hex")
}

/** Builds the page that the consumer serves, where it is not as its sources are: it takes a second. */
const buildPage = async ({ node, packages, path }) => {
  if (!existsSync(join(pageFolder, "index.html"))) return
  const wanted = pageFingerprint(packages)
  if (stampAt(pageStampPath) === wanted) return
  await holdingTheLock(async () => {
    if (stampAt(pageStampPath) === wanted) return
    say("Building the console's page…")
    const vite = join(root, "apps", "consumer", "node_modules", "vite", "bin", "vite.js")
    const options = { cwd: root, env: { ...process.env, PATH: path } }
    const sentence = "Vite could not build the console's page: put right what it says above, and try again."
    await run(node, [vite, "build", pageFolder, "--logLevel", "warn"], options, sentence)
    writeFileSync(pageStampPath, wanted)
  })
}

/** Brings all that is missing; says nothing and takes a few milliseconds where nothing is. Answers with the programs to use. */
const prepare = async () => {
  const ownNode = fits(process.versions.node)
  const ownPnpm = !existsSync(pnpm.folder) && ownPnpmFits()
  const tools = [...(ownNode ? [] : [nodeTool]), ...(ownPnpm ? [] : [pnpm])]
  const wanted = fingerprint()
  const isReady = () => tools.every(({ folder }) => existsSync(folder)) && stamp() === wanted
  const node = ownNode ? process.execPath : nodeTool.command(nodeTool.folder)
  const path = () =>
    [
      ...(ownNode ? [] : [dirname(node)]),
      ...(ownPnpm ? [] : [pnpmFolder(pnpm.folder)]),
      join(root, "node_modules", ".bin"),
      process.env.PATH
    ].join(delimiter)
  if (!isReady()) {
    await holdingTheLock(async () => {
      const missing = tools.filter(({ folder }) => !existsSync(folder))
      const installed = await Promise.allSettled(missing.map(installTool))
      for (const { reason, status } of installed) if (status === "rejected") throw reason
      if (stamp() === wanted) return
      say("Installing the packages…")
      const program = ownPnpm ? "pnpm" : pnpm.command(pnpm.folder)
      // Nobody is there to be asked.
      const env = { ...process.env, PATH: path(), CI: "true" }
      const options = { cwd: root, env, shell: ownPnpm && process.platform === "win32" }
      const sentence =
        "pnpm could not install the packages: put right what it says above (is this machine online?), and try again."
      await run(program, ["install", "--frozen-lockfile"], options, sentence)
      writeFileSync(stampPath, wanted)
    })
  }
  return { node, packages: wanted, path: path() }
}

const isAtTerminal = () => [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)

/** Runs the task and answers with its exit code. */
const runTask = ({ callersDirectory, script, watched }, args, { node, path }) =>
  new Promise((done) => {
    const [file, ...first] = script
    const child = spawn(node, [join(root, file), ...first, ...args], {
      cwd: callersDirectory ? process.env.INIT_CWD ?? process.cwd() : root,
      env: {
        NODE_COMPILE_CACHE: join(toolchain, "compile-cache"),
        ...process.env,
        PATH: path,
        TURBO_TELEMETRY_DISABLED: "1"
      },
      stdio: watched ? ["inherit", "inherit", "inherit", "ipc"] : "inherit"
    })
    // A terminal's Ctrl-C reaches the task without us; twice would be a second Ctrl-C.
    process.on("SIGINT", () => {
      if (!isAtTerminal()) child.kill("SIGINT")
    })
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
    endWithNpm(() => child.kill("SIGTERM"))
    child.on("error", (error) => {
      say(error.message)
      done(1)
    })
    child.on("exit", (code, signal) => done(code ?? 128 + constants.signals[signal]))
  })

/** A process's parent and name: from /proc, or from ps where there is none. */
const describeProcess = (pid) => {
  try {
    const stat = existsSync("/proc/self/stat")
      ? readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^\d+ \((.*)\) \S+ (\d+) .*$/s, "$2 $1")
      : spawnSync("ps", ["-o", "ppid=,comm=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim()
    const [parent, ...name] = stat.split(" ")
    return { parent: Number(parent), name: name.join(" ") }
  } catch {
    return undefined
  }
}

/** npm, killed hard, leaves us behind without a word, and often a shell between: only the process ids tell. */
const endWithNpm = (end) => {
  if (process.env.npm_lifecycle_event === undefined || process.platform === "win32") return
  const parent = process.ppid
  const shell = describeProcess(parent)
  const npm = shell !== undefined && describeProcess(shell.parent)?.name.startsWith("npm") ? shell.parent : parent
  const timer = setInterval(() => {
    if (process.ppid === parent && isAlive(npm)) return
    clearInterval(timer)
    end()
  }, 500)
  timer.unref()
}

const main = async ([name, ...args]) => {
  if (Number(process.versions.node.split(".")[0]) < 20) {
    throw new Fault(`Node ${process.versions.node} is too old to begin with: install Node 20 or newer, and try again.`)
  }
  if (name === undefined || name === "--help") return process.stdout.write(`${usage()}\n`)
  if (!Object.hasOwn(tasks, name)) throw new Fault(`There is no task ${name}.\n\n${usage()}`)
  const prepared = await prepare()
  if (tasks[name].page) await buildPage(prepared)
  process.exitCode = await runTask(tasks[name], args, prepared)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Fault)) throw error
  say(error.message)
  process.exitCode = 1
}
