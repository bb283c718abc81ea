import { defineConfig } from "vitest/config"

// Processes and brokers start slowly on a machine with other work; nothing here should ever reach these.
// Most of the time is waiting, for a session to end or a back-off to pass: two files at once take half of it.
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "console/src/**/*.test.ts"],
    hookTimeout: 120_000,
    maxWorkers: 2,
    testTimeout: 120_000
  }
})
