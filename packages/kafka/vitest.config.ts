import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    hookTimeout: 120_000,
    testTimeout: 120_000,
    // They wait for brokers more than they compute.
    maxWorkers: 3,
    silent: "passed-only"
  }
})
