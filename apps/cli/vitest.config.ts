import { defineConfig } from "vitest/config"

// Starting a broker takes a second, and twenty on a machine with other work; nothing here should ever reach these.
export default defineConfig({ test: { hookTimeout: 120_000, testTimeout: 120_000 } })
