import { defineConfig } from "vitest/config"

// Processes and brokers start slowly on a machine with other work; nothing here should ever reach these.
export default defineConfig({
  test: { include: ["src/**/*.test.ts"], hookTimeout: 120_000, testTimeout: 120_000 }
})
